package demo

import (
	"encoding/binary"
	"math"
	"sync"
)

// ornamentsFont is a TrueType font with three drawings of our own: a four-pointed
// star (U+2726), a five-pointed star (U+2605) and a leaf (U+2767). It is made here
// so that the demo ships no font of anybody else. Tables as in OpenType 1.9.
var ornamentsFont = sync.OnceValue(func() []byte {
	glyphs := [][]point{
		{}, // .notdef must be glyph 0
		star(4, 0.34),
		star(5, 0.45),
		leaf(),
	}
	return buildFont([]uint16{0x2605, 0x2726, 0x2767}, []uint16{2, 1, 3}, glyphs)
})

// point is in font units; an em is 1000 of them and y grows upwards.
type point struct{ x, y int16 }

const em, middleX, middleY, radius = 1000, 500, 350, 420

// star has its points on a circle and the notches at inner times its radius.
func star(points int, inner float64) []point {
	var outline []point
	for i := range 2 * points {
		r := float64(radius)
		if i%2 == 1 {
			r *= inner
		}
		angle := math.Pi/2 - float64(i)*math.Pi/float64(points) // clockwise: filled
		outline = append(outline, point{int16(middleX + r*math.Cos(angle)), int16(middleY + r*math.Sin(angle))})
	}
	return outline
}

// leaf is the shape between two arcs that meet in both tips.
func leaf() []point {
	var outline []point
	const steps = 14
	for i := range 2 * steps {
		t := float64(i) / steps // 0..1 up the left side, 1..2 down the right one
		along := 1 - math.Abs(1-t)
		bulge := 230 * math.Sin(math.Pi*along)
		if t < 1 {
			bulge = -bulge
		}
		outline = append(outline, point{int16(middleX + bulge), int16(middleY - radius + 2*radius*along)})
	}
	return outline
}

// table collects big-endian values (OpenType 1.9, "Data types").
type table []byte

func (t *table) u16(values ...uint16) {
	for _, v := range values {
		*t = binary.BigEndian.AppendUint16(*t, v)
	}
}

func (t *table) i16(values ...int16) {
	for _, v := range values {
		t.u16(uint16(v))
	}
}

func (t *table) u32(values ...uint32) {
	for _, v := range values {
		*t = binary.BigEndian.AppendUint32(*t, v)
	}
}

// buildFont writes a font of filled polygons; codes are ascending, and glyphOf
// gives the glyph of each.
func buildFont(codes, glyphOf []uint16, glyphs [][]point) []byte {
	var glyf, loca, hmtx table
	for _, outline := range glyphs {
		loca.u32(uint32(len(glyf)))
		hmtx.u16(em, uint16(leftOf(outline)))
		glyf = append(glyf, simpleGlyph(outline)...)
	}
	loca.u32(uint32(len(glyf)))
	n := uint16(len(glyphs))

	var head, hhea, maxp, post table
	head.u32(0x00010000, 0x00010000, 0, 0x5F0F3CF5)
	head.u16(0x000B, em)
	head.u32(0, 0, 0, 0) // created, modified
	head.i16(0, middleY-radius, em, middleY+radius)
	head.u16(0, 8)
	head.i16(2, 1, 0) // direction, long loca offsets, glyph format
	hhea.u32(0x00010000)
	hhea.i16(800, -200, 0)
	hhea.u16(em)
	hhea.i16(0, 0, em, 1, 0, 0, 0, 0, 0, 0, 0)
	hhea.u16(n)
	maxp.u32(0x00010000)
	maxp.u16(n, 64, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	post.u32(0x00030000, 0)
	post.i16(-100, 50)
	post.u32(0, 0, 0, 0, 0)

	return assemble([]string{"OS/2", "cmap", "glyf", "head", "hhea", "hmtx", "loca", "maxp", "name", "post"},
		map[string]table{
			"OS/2": os2(codes), "cmap": cmap(codes, glyphOf), "glyf": glyf, "head": head, "hhea": hhea,
			"hmtx": hmtx, "loca": loca, "maxp": maxp, "name": names("Sample Ornaments"), "post": post,
		})
}

func leftOf(outline []point) int16 {
	left := int16(0)
	for i, p := range outline {
		if i == 0 || p.x < left {
			left = p.x
		}
	}
	return left
}

// simpleGlyph is one closed contour of straight lines.
func simpleGlyph(outline []point) table {
	if len(outline) == 0 {
		return nil
	}
	low, high := outline[0], outline[0]
	for _, p := range outline {
		low.x, low.y = min(low.x, p.x), min(low.y, p.y)
		high.x, high.y = max(high.x, p.x), max(high.y, p.y)
	}
	var g table
	g.i16(1, low.x, low.y, high.x, high.y)
	g.u16(uint16(len(outline)-1), 0)
	for range outline {
		g = append(g, 1) // on the curve, both coordinates as 16-bit differences
	}
	var last point
	for _, p := range outline {
		g.i16(p.x - last.x)
		last.x = p.x
	}
	for _, p := range outline {
		g.i16(p.y - last.y)
		last.y = p.y
	}
	for len(g)%4 != 0 {
		g = append(g, 0)
	}
	return g
}

// cmap is one format 4 sub-table with a segment for each character.
func cmap(codes, glyphOf []uint16) table {
	n := uint16(len(codes) + 1)
	log := uint16(math.Log2(float64(n)))
	var c table
	c.u16(0, 1, 3, 1)
	c.u32(12)
	c.u16(4, 16+8*n, 0, 2*n, 2<<log, log, 2*n-2<<log)
	c.u16(codes...)
	c.u16(0xFFFF, 0)
	c.u16(codes...)
	c.u16(0xFFFF)
	for i, code := range codes {
		c.u16(glyphOf[i] - code) // modulo 65536
	}
	c.u16(1)
	c.u16(make([]uint16, n)...)
	return c
}

func os2(codes []uint16) table {
	var o table
	o.u16(4, em, 400, 5, 0)
	o.i16(650, 700, 0, 140, 650, 700, 0, 480, 50, 300, 0)
	o = append(o, make([]byte, 10)...) // panose: any
	o.u32(0, 0, 0, 0)
	o = append(o, "NONE"...)
	o.u16(0x40, codes[0], codes[len(codes)-1])
	o.i16(800, -200, 0)
	o.u16(800, 200)
	o.u32(1, 0)
	o.i16(500, 700)
	o.u16(0, 32, 1)
	return o
}

// names gives family, style, full and PostScript name in Windows' encoding.
func names(family string) table {
	values := []string{1: family, 2: "Regular", 4: family, 6: "SampleOrnaments"}
	var records, texts table
	count := uint16(0)
	for id, v := range values {
		if v == "" {
			continue
		}
		records.u16(3, 1, 0x409, uint16(id), uint16(2*len(v)), uint16(len(texts)))
		for _, letter := range v {
			texts.u16(uint16(letter))
		}
		count++
	}
	var t table
	t.u16(0, count, 6+12*count)
	return append(append(t, records...), texts...)
}

// assemble writes the table directory and the padded tables behind it.
func assemble(order []string, tables map[string]table) []byte {
	n := uint16(len(order))
	log := uint16(math.Log2(float64(n)))
	var directory, body table
	directory.u32(0x00010000)
	directory.u16(n, 16<<log, log, 16*n-16<<log)
	start := 12 + 16*uint32(n)
	for _, tag := range order {
		data := tables[tag]
		padded := data[:len(data):len(data)]
		for len(padded)%4 != 0 {
			padded = append(padded, 0)
		}
		directory = append(directory, tag...)
		directory.u32(checksum(padded), start+uint32(len(body)), uint32(len(data)))
		body = append(body, padded...)
	}
	return append(directory, body...)
}

func checksum(padded []byte) uint32 {
	var sum uint32
	for i := 0; i < len(padded); i += 4 {
		sum += binary.BigEndian.Uint32(padded[i:])
	}
	return sum
}
