// Microsoft Advertising, Universal Event Tracking consent mode.
// https://help.ads.microsoft.com/#apex/ads/en/60119/1-500
import { list, type Signal } from "./signal";

export function uet(key: string): Signal {
  return (allowed, first) => {
    // Three items in one push, as documented: UET reads them from its list one by one.
    list("uetq").push("consent", first ? "default" : "update", { ad_storage: allowed(key) ? "granted" : "denied" });
  };
}
