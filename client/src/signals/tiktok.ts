// TikTok Pixel, cookie consent: hold, grant, revoke.
// https://ads.tiktok.com/help/article/about-using-cookies-with-tiktok-pixel
// https://business-api.tiktok.com/portal/docs?id=1739585600931842
import { list, type Signal } from "./signal";

export function tiktok(key: string): Signal {
  return (allowed, first) => {
    const ttq = list("ttq") as unknown[] & Record<string, (() => void) | undefined>;
    const method = allowed(key) ? "grantConsent" : first ? "holdConsent" : "revokeConsent";
    // The pixel's own code fills its methods in; until then it is a list of calls.
    if (ttq[method]) ttq[method]();
    else ttq.push([method]);
  };
}
