// Sample Analytics: what a usual page counter does when its script runs.
(() => {
  const server = new URL(document.currentScript.src).origin;
  const queue = (window.sampleAnalytics && window.sampleAnalytics.queue) || [];
  const random = () => Math.random().toString(36).slice(2) + Date.now().toString(36);

  const read = (name) => document.cookie.split('; ').find((c) => c.startsWith(name + '='))?.split('=')[1];
  const keep = (name, seconds) => {
    const value = read(name) || random();
    document.cookie = `${name}=${value}; path=/; max-age=${seconds}; samesite=lax`;
    return value;
  };
  const load = random(); // one page load: ties the last beacon to the first request
  const visitor = keep('_sa_visitor', 395 * 86400);
  const session = keep('_sa_session', 1800);
  localStorage.setItem('sa_first_seen', localStorage.getItem('sa_first_seen') || new Date().toISOString());
  sessionStorage.setItem('sa_pages', String(Number(sessionStorage.getItem('sa_pages') || 0) + 1));

  const facts = (event) => ({
    event, visitor, session, load, page: location.href, referrer: document.referrer, title: document.title,
    screen: `${screen.width}x${screen.height}`, language: navigator.language,
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  });
  const send = (event) => fetch(server + '/collect', {
    method: 'POST', mode: 'cors', credentials: 'include', keepalive: true,
    headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(facts(event)),
  }).catch(() => {});

  send('page_view');
  new Image().src = `${server}/pixel.gif?visitor=${visitor}&load=${load}&page=${encodeURIComponent(location.pathname)}`;
  for (const event of queue) send(event);
  window.sampleAnalytics = { queue: { push: send }, visitor };

  addEventListener('click', (e) => {
    const link = e.target instanceof Element && e.target.closest('[data-product]');
    if (link) navigator.sendBeacon(server + '/collect', JSON.stringify({ event: 'product_click', visitor, load, product: link.dataset.product }));
  });
  addEventListener('pagehide', () => {
    navigator.sendBeacon(server + '/collect', JSON.stringify({ event: 'leave', visitor, load, seconds: Math.round(performance.now() / 1000) }));
  });
})();
