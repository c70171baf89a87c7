// The shop's own script: when the browser's policy keeps a film out, an
// explanation stands in its place instead of an empty frame.
(() => {
  let kept = false;
  const explain = () => {
    if (!kept) return;
    for (const film of document.querySelectorAll('[data-film]')) {
      film.querySelector('iframe').hidden = true;
      film.querySelector('.asleep').hidden = false;
    }
  };
  addEventListener('securitypolicyviolation', (e) => {
    if (!e.effectiveDirective.startsWith('frame-src') && !e.effectiveDirective.startsWith('child-src')) return;
    kept = true;
    explain();
  });
  addEventListener('DOMContentLoaded', explain);
})();
