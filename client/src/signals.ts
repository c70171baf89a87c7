// Signals that a browser sends. Those that a page's tools want to receive
// (Consent Mode and its like) get a file each beside this one and a line in
// the parts that start takes.

/** Global Privacy Control (W3C draft): the visitor's browser refuses for them. */
export function gpc(): boolean {
  return (navigator as Navigator & { readonly globalPrivacyControl?: boolean }).globalPrivacyControl === true;
}
