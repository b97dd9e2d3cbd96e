package products

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/currency"

	"example.com/communityfeed/internal/problem"
)

const (
	maxName   = 200                   // characters; the schema says the same
	maxAmount = 1_000_000_000_000_000 // minor units; beyond it, JSON numbers lose digits in some clients
	maxStock  = 1_000_000_000
)

func (f Fields) validate() error {
	var wrong problem.Fields
	wrong.Check(strings.TrimSpace(f.Name) != "", "name", "must not be empty")
	wrong.Check(utf8.RuneCountInString(f.Name) <= maxName, "name", fmt.Sprintf("must not be longer than %d characters", maxName))
	wrong.Check(!strings.ContainsRune(f.Name, 0), "name", "must not contain the character U+0000")
	wrong.Check(slices.Contains(categories[:], string(f.Category)), "category", "must be one of "+strings.Join(categories[:], ", "))
	wrong.Check(f.Price.Amount >= 0 && f.Price.Amount <= maxAmount, "price.amount", fmt.Sprintf("must be from 0 to %d", int64(maxAmount)))
	wrong.Check(isCurrency(f.Price.Currency), "price.currency", "must be the code of a currency, such as EUR")
	wrong.Check(f.Stock >= 0 && f.Stock <= maxStock, "stock", fmt.Sprintf("must be from 0 to %d", maxStock))
	return wrong.Err()
}

// isCurrency accepts the codes of ISO 4217 in capitals.
func isCurrency(code string) bool {
	unit, err := currency.ParseISO(code)
	return err == nil && unit.String() == code
}
