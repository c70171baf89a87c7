// Sample Ads: re-marketing as usual. A pixel that ties this browser to an ID on
// the advertiser's own host, a profile of interests, and a banner in an iframe.
(() => {
  const server = new URL(document.currentScript.src).origin;
  const click = document.cookie.split('; ').find((c) => c.startsWith('_sad_click='))?.split('=')[1] || Math.random().toString(36).slice(2);
  document.cookie = `_sad_click=${click}; path=/; max-age=${90 * 86400}; samesite=lax`;

  const interests = new Set(JSON.parse(localStorage.getItem('sad_interests') || '[]'));
  const product = document.querySelector('meta[property="product:id"]');
  if (product) interests.add(product.content);
  localStorage.setItem('sad_interests', JSON.stringify([...interests]));

  new Image().src = `${server}/sync.gif?click=${click}&page=${encodeURIComponent(location.href)}&interests=${[...interests].join(',')}`;

  for (const place of document.querySelectorAll('[data-ad-slot]')) {
    const frame = document.createElement('iframe');
    frame.title = 'Advertisement';
    frame.loading = 'eager';
    frame.src = `${server}/slot?interests=${[...interests].join(',')}`;
    place.replaceChildren(frame);
    place.hidden = false;
  }
  window.sampleAds = { click };
})();
