package admin

import (
	"strings"
	"time"

	"assent/internal/tongue"
)

// calendar is how a language writes dates in words (CLDR): the names from January and
// from Sunday, what stands behind the number of a day, and behind a weekday.
type calendar struct {
	months, short, weekdays string
	ordinal, comma          string
}

var calendars = map[string]calendar{
	"da": {"januar februar marts april maj juni juli august september oktober november december", "jan. feb. mar. apr. maj jun. jul. aug. sep. okt. nov. dec.",
		"søndag mandag tirsdag onsdag torsdag fredag lørdag", ".", ""},
	"de": {"Januar Februar März April Mai Juni Juli August September Oktober November Dezember", "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
		"Sonntag Montag Dienstag Mittwoch Donnerstag Freitag Samstag", ".", ","},
	"et": {"jaanuar veebruar märts aprill mai juuni juuli august september oktoober november detsember", "jaan veebr märts apr mai juuni juuli aug sept okt nov dets",
		"pühapäev esmaspäev teisipäev kolmapäev neljapäev reede laupäev", ".", ","},
	"fi": {"tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta", "tammi helmi maalis huhti touko kesä heinä elo syys loka marras joulu",
		"sunnuntai maanantai tiistai keskiviikko torstai perjantai lauantai", ".", ""},
	"fr": {"janvier février mars avril mai juin juillet août septembre octobre novembre décembre", "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
		"dimanche lundi mardi mercredi jeudi vendredi samedi", "", ""},
}

// dateIn writes a date in words. layout is one of package time for English, in which
// the day stands before the month.
func dateIn(l *tongue.Language, t time.Time, layout string) string {
	c, ok := calendars[l.Tag]
	if !ok {
		return t.Format(layout)
	}
	name := func(list string, i int) string { return strings.Fields(list)[i] }
	month := name(c.months, int(t.Month())-1)
	if l.Tag == "fi" && !strings.Contains(layout, "2 January") {
		month = strings.TrimSuffix(month, "ta") // the month alone is in the nominative
	}
	weekday := name(c.weekdays, int(t.Weekday())) + c.comma
	// What is replaced is written between signs that no layout has, and last.
	text := strings.NewReplacer("Monday", "\x01", "January", "\x02", "Jan", "\x03", "2 ", "2"+c.ordinal+" ").Replace(layout)
	return strings.NewReplacer("\x01", weekday, "\x02", month, "\x03", name(c.short, int(t.Month())-1)).Replace(t.Format(text))
}
