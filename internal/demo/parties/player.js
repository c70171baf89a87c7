// Sample Video: counts a view as soon as the player is there, and again at every
// press of the button.
const film = location.pathname.split('/').pop();
const tell = (event) => navigator.sendBeacon('/watch', JSON.stringify({ event, film, from: document.referrer }));
tell('shown');
document.getElementById('play').addEventListener('click', () => {
  document.body.classList.add('playing');
  tell('played');
});
