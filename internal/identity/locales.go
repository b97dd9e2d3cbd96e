package identity

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// DefaultLocale answers whoever asks for no language, or for none that is
// supported.
const DefaultLocale = "en"

// supported is the closed set of locales; the default comes first.
var supported = [...]string{DefaultLocale, "de", "fr", "es", "pt-BR", "ja"}

// SupportedLocales lists the locales as they are spelled in keys, in the
// database and in responses, the default first.
func SupportedLocales() []string { return slices.Clone(supported[:]) }

// Supported tells whether locale is one of them, in exactly that spelling.
func Supported(locale string) bool { return slices.Contains(supported[:], locale) }

const (
	maxAcceptLanguage = 256   // bytes of the header that are looked at
	rememberedHeaders = 1_024 // distinct header values
)

// Locales negotiates the response's language. Matching costs microseconds and
// browsers send few distinct headers, so results are remembered by header
// value, in bounded memory.
type Locales struct {
	matcher    language.Matcher
	remembered *remembered[string]
}

// NewLocales returns a negotiator over the supported locales.
func NewLocales() *Locales {
	tags := make([]language.Tag, len(supported))
	for i, locale := range supported {
		tags[i] = language.MustParse(locale)
	}
	return &Locales{matcher: language.NewMatcher(tags), remembered: remember[string](rememberedHeaders)}
}

// Match returns the supported locale that fits an Accept-Language header best
// (RFC 9110, 12.5.4). The result is always one of SupportedLocales: parts that
// make no sense are passed over, and what is too long is cut.
func (l *Locales) Match(acceptLanguage string) string {
	if acceptLanguage == "" {
		return DefaultLocale
	}
	if len(acceptLanguage) > maxAcceptLanguage {
		// Cut between two languages: half a tag could be another language's.
		acceptLanguage = acceptLanguage[:strings.LastIndexByte(acceptLanguage[:maxAcceptLanguage], ',')+1]
	}
	if locale, ok := l.remembered.get(acceptLanguage); ok {
		return locale
	}
	locale := l.negotiate(acceptLanguage)
	l.remembered.add(acceptLanguage, locale)
	return locale
}

func (l *Locales) negotiate(acceptLanguage string) string {
	type preference struct {
		tag     language.Tag
		quality float32
	}
	var preferences []preference
	for part := range strings.SplitSeq(acceptLanguage, ",") {
		// One at a time: over the whole header the parser drops every language
		// because of a single one it cannot read.
		tags, qualities, err := language.ParseAcceptLanguage(part)
		if err != nil || len(tags) != 1 || !(qualities[0] > 0 && qualities[0] <= 1) {
			continue
		}
		preferences = append(preferences, preference{tags[0], qualities[0]})
	}
	slices.SortStableFunc(preferences, func(a, b preference) int { return cmp.Compare(b.quality, a.quality) })

	wanted := make([]language.Tag, len(preferences))
	for i, p := range preferences {
		wanted[i] = p.tag
	}
	_, index, confidence := l.matcher.Match(wanted...)
	if confidence == language.No {
		return DefaultLocale
	}
	return supported[index]
}
