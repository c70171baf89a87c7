// Draws what the shop's server tells of the third parties, and what this page holds.
(() => {
  const panel = document.getElementById('panel');
  const current = Number(panel.dataset.view);
  const details = panel.querySelector('details');
  const wide = matchMedia('(min-width: 66rem)');
  const fold = () => { details.open = wide.matches; };
  fold();
  wide.addEventListener('change', fold);
  details.querySelector('summary').addEventListener('click', (e) => { if (wide.matches) e.preventDefault(); });

  const make = (tag, text, className) => {
    const e = document.createElement(tag);
    if (text !== undefined) e.textContent = text;
    if (className) e.className = className;
    return e;
  };
  const clock = (time) => new Date(time).toLocaleTimeString('en-GB');
  const count = (n) => (n ? `${n} ${n === 1 ? 'request' : 'requests'}` : 'nothing');
  const all = (view) => Object.values(view.received).reduce((sum, list) => sum + list.length, 0);
  const names = { analytics: 'analytics', advertising: 'ads', video: 'video', fonts: 'fonts' };

  const drawParty = (li, requests) => {
    const shown = Number(li.dataset.shown || -1);
    if (shown === requests.length) return;
    li.dataset.shown = requests.length;
    li.className = requests.length ? 'some' : 'nothing';
    const parts = [li.querySelector('h3'), make('b', count(requests.length))];
    if (requests.length) {
      const list = make('ul');
      for (const r of requests) {
        const row = make('li');
        row.append(make('time', clock(r.time)), make('code', `${r.method} ${r.path}`));
        if (r.told.length) row.append(make('small', `was told ${r.told.join(', ')}`));
        if (r.cookie.length) row.append(make('small', `knew you by ${r.cookie.join(', ')}`, 'cookie'));
        list.append(row);
      }
      parts.push(list);
    }
    li.replaceChildren(...parts);
  };

  const draw = (views) => {
    const mine = views.find((v) => v.id === current) || { received: {} };
    for (const li of panel.querySelectorAll('[data-party]')) drawParty(li, mine.received[li.dataset.party] || []);
    const total = all(mine);
    const tally = document.getElementById('panel-tally');
    tally.textContent = total ? count(total) : 'nobody';
    tally.className = 'tally ' + (total ? 'some' : 'nothing');

    const earlier = document.getElementById('panel-views');
    const rows = views.filter((v) => v.id !== current).slice(0, 12).map((v) => {
      const row = make('li');
      const page = make('span', v.page);
      if (v.without) page.append(make('i', ' without Assent'));
      const heard = Object.entries(v.received).map(([party, list]) => `${names[party]} ${list.length}`).join(', ');
      const sum = make('b', all(v) ? String(all(v)) : 'nothing', all(v) ? 'some' : 'nothing');
      sum.title = heard || 'no third party received anything';
      row.append(make('time', clock(v.time)), page, sum);
      return row;
    });
    earlier.replaceChildren(...(rows.length ? rows : [make('li', 'none yet', 'none')]));
  };

  // The basket and the choice itself are the shop's own and necessary.
  const own = (name) => name === 'basket' || name.startsWith('assent_');
  const held = () => ({
    cookies: document.cookie.split('; ').filter(Boolean).map((c) => c.split('=')[0]),
    local: Object.keys(localStorage),
    session: Object.keys(sessionStorage),
  });
  let last = '';
  const drawHeld = () => {
    const now = held();
    const text = JSON.stringify(now);
    if (text === last) return;
    last = text;
    for (const [kind, list] of Object.entries(now)) {
      panel.querySelector(`[data-held="${kind}"]`).replaceChildren(
        ...(list.length ? list.sort().map((n) => make('code', n, own(n) ? '' : 'theirs')) : [make('span', 'nothing', 'none')]));
    }
  };
  drawHeld();
  setInterval(drawHeld, 500);

  const dot = document.getElementById('panel-dot');
  const stream = new EventSource('/panel/events');
  stream.onopen = () => { dot.className = 'dot live'; dot.title = 'live'; };
  stream.onerror = () => { dot.className = 'dot'; dot.title = 'waiting for the demo'; };
  stream.onmessage = (e) => { draw(JSON.parse(e.data)); drawHeld(); };
  addEventListener('pagehide', () => stream.close());
  addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });
})();
