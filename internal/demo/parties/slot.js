// The banner itself: says whom it thinks it talks to, and reports that it was seen.
const interests = (new URLSearchParams(location.search).get('interests') || '').split(',').filter(Boolean);
if (interests.length) {
  document.getElementById('text').textContent = `Still thinking about the ${interests[interests.length - 1].replaceAll('-', ' ')}?`;
  document.getElementById('why').textContent = `Shown because you looked at: ${interests.join(', ').replaceAll('-', ' ')}`;
}
new Image().src = `/seen.gif?interests=${interests.join(',')}`;
