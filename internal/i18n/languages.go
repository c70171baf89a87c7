package i18n

import "slices"

// Language is one that the banner speaks.
type Language struct {
	Tag     string // BCP 47
	Name    string // its own
	English string
}

// languages are all of them, by tag; each has a file in banner/.
var languages = []Language{
	{"ar", "العربية", "Arabic"},
	{"az", "Azərbaycan", "Azerbaijani"},
	{"bg", "Български", "Bulgarian"},
	{"bn", "বাংলা", "Bangla"},
	{"bs", "Bosanski", "Bosnian"},
	{"ca", "Català", "Catalan"},
	{"cs", "Čeština", "Czech"},
	{"cy", "Cymraeg", "Welsh"},
	{"da", "Dansk", "Danish"},
	{"de", "Deutsch", "German"},
	{"de-AT", "Österreichisches Deutsch", "Austrian German"},
	{"de-CH", "Schweizer Hochdeutsch", "Swiss High German"},
	{"el", "Ελληνικά", "Greek"},
	{"en", "English", "English"},
	{"en-GB", "British English", "English (United Kingdom)"},
	{"en-US", "American English", "English (United States)"},
	{"es", "Español", "Spanish"},
	{"es-419", "Español latinoamericano", "Latin American Spanish"},
	{"et", "Eesti", "Estonian"},
	{"eu", "Euskara", "Basque"},
	{"fa", "فارسی", "Persian"},
	{"fi", "Suomi", "Finnish"},
	{"fr", "Français", "French"},
	{"fr-CA", "Français canadien", "Canadian French"},
	{"fr-CH", "Français suisse", "Swiss French"},
	{"ga", "Gaeilge", "Irish"},
	{"gl", "Galego", "Galician"},
	{"he", "עברית", "Hebrew"},
	{"hi", "हिन्दी", "Hindi"},
	{"hr", "Hrvatski", "Croatian"},
	{"hu", "Magyar", "Hungarian"},
	{"hy", "Հայերեն", "Armenian"},
	{"id", "Indonesia", "Indonesian"},
	{"is", "Íslenska", "Icelandic"},
	{"it", "Italiano", "Italian"},
	{"it-CH", "Italiano (Svizzera)", "Italian (Switzerland)"},
	{"ja", "日本語", "Japanese"},
	{"ka", "Ქართული", "Georgian"},
	{"ko", "한국어", "Korean"},
	{"lb", "Lëtzebuergesch", "Luxembourgish"},
	{"lt", "Lietuvių", "Lithuanian"},
	{"lv", "Latviešu", "Latvian"},
	{"mk", "Македонски", "Macedonian"},
	{"ms", "Melayu", "Malay"},
	{"mt", "Malti", "Maltese"},
	{"nb", "Norsk bokmål", "Norwegian Bokmål"},
	{"nl", "Nederlands", "Dutch"},
	{"nn", "Norsk nynorsk", "Norwegian Nynorsk"},
	{"pl", "Polski", "Polish"},
	{"pt", "Português", "Portuguese"},
	{"pt-BR", "Português (Brasil)", "Brazilian Portuguese"},
	{"rm", "Rumantsch", "Romansh"},
	{"ro", "Română", "Romanian"},
	{"ru", "Русский", "Russian"},
	{"sk", "Slovenčina", "Slovak"},
	{"sl", "Slovenščina", "Slovenian"},
	{"sq", "Shqip", "Albanian"},
	{"sr", "Српски", "Serbian"},
	{"sr-Latn", "Srpski (latinica)", "Serbian (Latin)"},
	{"sv", "Svenska", "Swedish"},
	{"ta", "தமிழ்", "Tamil"},
	{"th", "ไทย", "Thai"},
	{"tr", "Türkçe", "Turkish"},
	{"uk", "Українська", "Ukrainian"},
	{"ur", "اردو", "Urdu"},
	{"vi", "Tiếng Việt", "Vietnamese"},
	{"zh-Hans", "简体中文", "Simplified Chinese"},
	{"zh-Hant", "繁體中文", "Traditional Chinese"},
}

// Languages are all that the banner speaks, by their English names.
func Languages() []Language {
	list := slices.Clone(languages)
	slices.SortFunc(list, func(a, b Language) int {
		if a.English < b.English {
			return -1
		}
		return 1
	})
	return list
}

// Name is a language's English name, or its tag.
func Name(tag string) string {
	for _, l := range languages {
		if l.Tag == tag {
			return l.English
		}
	}
	return tag
}
