package gate

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

const mark1 = "<script data-assent-gate>1</script>"

// inject runs a document through the injector in pieces of the given size.
func inject(t testing.TB, document string, page bool, size int) string {
	t.Helper()
	var b bytes.Buffer
	i := &injector{to: &b, element: mark1, page: page}
	for rest := document; rest != ""; {
		n := min(size, len(rest))
		if k, err := i.Write([]byte(rest[:n])); k != n || err != nil {
			t.Fatal(k, err)
		}
		if len(i.held) > len(doctype) {
			t.Fatalf("%d bytes are held back", len(i.held))
		}
		rest = rest[n:]
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// In these documents, * is where the element belongs.
var documents = []string{
	"<!doctype html><html lang=en><head>*<meta charset=utf-8><title>x</title></head><body>x</body></html>",
	"<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">\n<HTML>\n<HEAD>*\n<TITLE>x</TITLE>",
	"\ufeff<!doctype html>\n<!-- <head> --><html><!-- a -- b --><head data-a='>' data-b=\"<head>\" c=d/e>*<title>",
	"<!doctype html>*<title>x</title>",
	"<!doctype html>*<p>x",
	"<!doctype html>\n *x",
	"<html>*<body>x",
	"<html>*</html>",
	"<html lang='a>b' \"c\" d='\">' e = f>\n<head/>*<title>",
	"<html/><head>*",
	"<head>*<title>",
	"<!doctype html><html>*<header>x</header>",
	"<!doctype html>*<h1>x</h1>",
	"<!doctype html>*<headline>",
	"<!-->\n<!---><!----><!--x--!><!--- - -- --->\n<!doctype html><head>*",
	"<?xml version='1.0'?><!doctype html><html xmlns='x'><head>*<title>",
	"<!><!x></><//x><!doctype html></ x><html><![CDATA[x]]><head>*",
	"<!doctype html><html a=>\n<head b= >*<i>",
	"<!doctype html><html a =\"x\"b='y'><head>*",
	"<!doctype html>*</head><body>",
	"<!doctype html>*\xefx",
	"<!doctype html>*<script>1</script>",
	// Nothing to do.
	"", " \n", "<p>x</p>", "x", "<li>a<li>b", "<!-- x --><tr>", "<title>x</title>", "</p>", "<h", "<!docty", "<!doctype html", "<!doctype html><html lang='", "<!-- <html><head>",
	"\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00", "\xfe\xff\x00<", "\xef", "\xef\xbb", "\xef\xacx", "<body>", "<header><head>",
}

func TestInjector(t *testing.T) {
	for _, want := range documents {
		document := strings.Replace(want, "*", "", 1)
		want = strings.Replace(want, "*", mark1, 1)
		for _, size := range []int{1, 2, 3, 7, 1 << 20} {
			if got := inject(t, document, false, size); got != want {
				t.Errorf("in pieces of %d:\n%q, want\n%q", size, got, want)
			}
		}
	}
	// What the browser shows as a page is one, whatever it looks like.
	for _, c := range []string{"*<p>x", "*x", "<!-- c -->\n*<title>x</title>", "*</p>", "\ufeff*x", " *\u00e9"} {
		document := strings.Replace(c, "*", "", 1)
		if got := inject(t, document, true, 1); got != strings.Replace(c, "*", mark1, 1) {
			t.Errorf("as a page: %q, want %q", got, c)
		}
	}
}

// FuzzInjector: however the document is cut, the same comes out, and that is the
// document with at most one element more, which a parser finds first in the head.
func FuzzInjector(f *testing.F) {
	for _, d := range documents {
		f.Add(strings.Replace(d, "*", "", 1), 3, true)
		f.Add(strings.Replace(d, "*", "", 1), 1, false)
	}
	f.Fuzz(func(t *testing.T, document string, size int, page bool) {
		if strings.Contains(document, "data-assent-gate") {
			return
		}
		whole := inject(t, document, page, 1<<30)
		if got := inject(t, document, page, 1+(size&15)); got != whole {
			t.Fatalf("in pieces %q, at once %q", got, whole)
		}
		if strings.Replace(whole, mark1, "", 1) != document {
			t.Fatalf("%q became %q", document, whole)
		}
		if whole == document || strings.HasPrefix(whole[strings.Index(whole, mark1)+len(mark1):], "</") {
			return // a page that begins with an end tag: what follows it moves into the head
		}
		checkTree(t, document, whole)
	})
}

// checkTree compares with x/net/html, a parser of its own.
func checkTree(t *testing.T, document, whole string) {
	t.Helper()
	if strings.Contains(document, "\x00") || strings.Contains(strings.ToLower(document), "<frameset") {
		return // the parser drops one and makes a mess of the other
	}
	// What decodes a document before a parser sees it drops the mark.
	whole, document = strings.TrimPrefix(whole, "\ufeff"), strings.TrimPrefix(document, "\ufeff")
	with, err := html.Parse(strings.NewReader(whole))
	if err != nil {
		return
	}
	without, err := html.Parse(strings.NewReader(document))
	if err != nil {
		return
	}
	head := find(with, "head")
	if head == nil || head.FirstChild == nil || head.FirstChild.Data != "script" || len(head.FirstChild.Attr) != 1 {
		t.Fatalf("the element is not the first of the head in %q", whole)
	}
	head.RemoveChild(head.FirstChild)
	if a, b := rendered(with), rendered(without); a != b {
		t.Fatalf("%q\nhas the tree %s,\nand without the element %s", whole, a, b)
	}
}

func find(n *html.Node, name string) *html.Node {
	if n.Type == html.ElementNode && n.Data == name {
		return n
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if f := find(c, name); f != nil {
			return f
		}
	}
	return nil
}

func rendered(n *html.Node) string {
	var b strings.Builder
	html.Render(&b, n)
	return b.String()
}
