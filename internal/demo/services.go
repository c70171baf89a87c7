package demo

import "assent/internal/site"

// Services declares the third parties and what they store, for the notice of
// the demo's site. The shop's own basket comes first; it needs no consent.
func Services(h Hosts) []site.Service {
	en := func(purpose string) map[string]string { return map[string]string{"en": purpose} }
	return []site.Service{
		{
			Key: "basket", Name: "Basket", Category: "necessary", Provider: "Fern & Kettle (sample shop)", Country: "IE",
			Purpose: en("Remembers what you put into the basket."),
			Trackers: []site.Tracker{
				{Kind: "cookie", Name: cookieBasket, Lifetime: "7 days"},
			},
		},
		{
			Key: "sample-video", Name: "Sample Video", Category: "functional", Provider: "Sample Video GmbH (fictitious)", Country: "DE",
			Purpose: en("Plays the films on the product pages and remembers where you stopped watching."),
			Hosts:   []string{h.Video},
			Trackers: []site.Tracker{
				{Kind: "cookie", Name: cookieViewer, Lifetime: "6 months"},
				{Kind: "request", Name: h.Video + "/embed/*"},
				{Kind: "request", Name: h.Video + "/watch"},
			},
		},
		{
			Key: "sample-fonts", Name: "Sample Fonts", Category: "functional", Provider: "Sample Fonts Oy (fictitious)", Country: "FI",
			Purpose: en("Delivers the typeface for the ornaments. Its servers learn your IP address and the page."),
			Hosts:   []string{h.Fonts},
			Trackers: []site.Tracker{
				{Kind: "request", Name: h.Fonts + "/*"},
			},
		},
		{
			Key: "sample-analytics", Name: "Sample Analytics", Category: "analytics", Provider: "Sample Analytics Ltd (fictitious)", Country: "IE",
			Purpose: en("Counts visits and shows the shop which pages and products are looked at."),
			Hosts:   []string{h.Analytics},
			Trackers: []site.Tracker{
				{Kind: "cookie", Name: "_sa_visitor", Lifetime: "13 months"},
				{Kind: "cookie", Name: "_sa_session", Lifetime: "30 minutes"},
				{Kind: "local_storage", Name: "sa_*", Lifetime: "until deleted"},
				{Kind: "session_storage", Name: "sa_*", Lifetime: "until the tab is closed"},
				{Kind: "request", Name: h.Analytics + "/*"},
			},
		},
		{
			Key: "sample-ads", Name: "Sample Ads", Category: "advertising", Provider: "Sample Ads Inc. (fictitious)", Country: "US",
			Purpose: en("Shows advertising that fits the products you looked at, here and on other sites, and measures whether it works."),
			Hosts:   []string{h.Advertising},
			Trackers: []site.Tracker{
				{Kind: "cookie", Name: "_sad_click", Lifetime: "3 months"},
				{Kind: "cookie", Name: cookieAds, Lifetime: "13 months"},
				{Kind: "local_storage", Name: "sad_interests", Lifetime: "until deleted"},
				{Kind: "request", Name: h.Advertising + "/*"},
			},
		},
	}
}
