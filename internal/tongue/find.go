package tongue

import "html/template"

// Templates tells the messages of a set of templates, which is of no use afterwards.
func Templates(t *template.Template, found func(message string)) {
	for _, one := range t.Templates() {
		if one.Tree != nil && one.Tree.Root != nil {
			w := walker{tree: one.Tree, found: found}
			w.walk()
		}
	}
}
