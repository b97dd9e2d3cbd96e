package feed

import (
	"fmt"
	"strings"
)

// phrases is a text without a language: what it says, by number. The phrasebook
// of every language has the same phrases under the same numbers, so the demo
// data's translations are translations.
type phrases struct {
	topic, angle int
	sentences    []int
}

// How many phrases of each sort there are in every language.
const topics, angles, sentences = 12, 10, 12

func drawPhrases(d dice) phrases {
	p := phrases{topic: d.IntN(topics), angle: d.IntN(angles)}
	at := d.IntN(sentences)
	for range 3 + d.IntN(4) {
		p.sentences = append(p.sentences, at)
		at = (at + 1 + d.IntN(3)) % sentences
	}
	return p
}

// language is the phrasebook of one locale.
type language struct {
	locale           string
	between, joining string // topic and angle, sentences
	topics           [topics]string
	angles           [angles]string
	sentences        [sentences]string
}

func (l *language) title(p phrases) string { return l.topics[p.topic] + l.between + l.angles[p.angle] }

func (l *language) body(p phrases) string {
	var b strings.Builder
	for i, s := range p.sentences {
		if i > 0 {
			b.WriteString(l.joining)
		}
		b.WriteString(l.sentences[s])
	}
	return b.String()
}

func userName(id int64) string {
	first := [...]string{
		"Ada", "Alan", "Amina", "Anna", "Barbara", "Bruno", "Chiara", "Clara", "Dennis", "Edsger", "Elif",
		"Emmy", "Frances", "Grace", "Hedy", "Hiro", "Ines", "Ivan", "Jean", "João", "Karen", "Katherine",
		"Ken", "Leslie", "Lin", "Margaret", "Mary", "Niklaus", "Radia", "Sophie", "Tomás", "Yuki",
	}
	last := [...]string{
		"Abe", "Almeida", "Andersen", "Baker", "Bauer", "Bianchi", "Carvalho", "Castillo", "Dubois", "Fischer",
		"Fontaine", "García", "Haddad", "Hughes", "Ito", "Jansen", "Kaya", "Kowalski", "Lefèvre", "Lindqvist",
		"Moreau", "Navarro", "Novak", "Okafor", "Pereira", "Rossi", "Sato", "Schneider", "Tanaka", "Weber", "Wood",
	}
	// 32 and 31 have no common divisor, so all 992 pairs occur.
	return first[id%int64(len(first))] + " " + last[id%int64(len(last))]
}

func communityName(id int64) string {
	where := [...]string{"Harbour", "Hillside", "Old Town", "Riverbank", "Station", "Market", "Lakeside", "Northern"}
	who := [...]string{"Bakers", "Gardeners", "Readers", "Cyclists", "Singers", "Players", "Birdwatchers", "Swimmers", "Walkers"}
	name := where[id%int64(len(where))] + " " + who[id%int64(len(who))]
	if again := id / int64(len(where)*len(who)); again > 0 {
		name = fmt.Sprintf("%s %d", name, again+1)
	}
	return name
}
