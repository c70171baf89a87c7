package demo

import "fmt"

// price is in cents.
type price int

func (p price) String() string { return fmt.Sprintf("€ %d.%02d", int(p)/100, int(p)%100) }

type product struct {
	Slug, Name, Short, Long, Film string
	Price                         price
	Facts                         []string
}

var products = []product{
	{"harbour-teapot", "Harbour teapot", "Stoneware that keeps its heat", "Thrown by hand in thick stoneware, glazed inside and left bare outside. The spout does not drip; we tried it four hundred times.", "warming-the-pot", 4800,
		[]string{"1.1 litres", "Fits our tin and tray", "Dishwasher, no microwave"}},
	{"two-sip-cups", "Two-sip cups", "A pair, small on purpose", "A small cup is warm to the last sip. Sold in pairs, because tea alone is only half of it.", "two-sips", 2600,
		[]string{"Set of two", "90 ml each", "Stackable"}},
	{"leaf-tin", "Tin for leaves", "Air stays out, the scent stays in", "Two lids, one inside the other, close by their own weight. The paint is soy-based and the tin is yours for life.", "closing-the-tin", 1800,
		[]string{"For 125 g of leaves", "Recycled steel", "Three colours"}},
	{"slow-kettle", "Slow kettle", "Boils in six minutes, quietly", "No whistle, no lights, no app. A heavy base holds the temperature while you look for the biscuits.", "the-slow-boil", 7200,
		[]string{"1.7 litres", "All hobs", "Oak handle"}},
	{"tray-cloth", "Linen tray cloth", "Washed soft, hemmed by hand", "Woven from French flax and washed until it falls like an old shirt. Spills are welcome.", "folding-linen", 2200,
		[]string{"40 × 60 cm", "100 % linen", "60 °C"}},
	{"bamboo-whisk", "Bamboo whisk", "Eighty tines, one piece", "Split from a single piece of bamboo, for foam as fine as silk. Comes with a stand to dry on.", "foam", 1400,
		[]string{"80 tines", "With stand", "Rinse only"}},
}

func find(slug string) *product {
	for i := range products {
		if products[i].Slug == slug {
			return &products[i]
		}
	}
	return nil
}

// others are three products beside p.
func others(p *product) []product {
	var rest []product
	for _, o := range products {
		if o.Slug != p.Slug && len(rest) < 3 {
			rest = append(rest, o)
		}
	}
	return rest
}
