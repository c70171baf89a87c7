package db

// FirstOrganisation is the ID of the organisation that migration 13 makes: it
// owns whatever names no other.
const FirstOrganisation = "first"
