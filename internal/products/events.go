package products

import "example.com/communityfeed/internal/events"

// Events lists what can happen in this domain, under the names by which the
// outbox stores it. A name and the fields of its event outlive the process that
// wrote them: an older version may still have to read them.
var Events = events.Kinds{
	events.KindOf[ProductCreated]("products.product_created"),
	events.KindOf[ProductUpdated]("products.product_updated"),
	events.KindOf[ProductDeleted]("products.product_deleted"),
}

// ProductCreated says that a product was added to the catalogue.
type ProductCreated struct {
	Product Product `json:"product"`
}

// ProductUpdated says that a product was replaced by another version of itself,
// possibly in another category.
type ProductUpdated struct {
	Before Product `json:"before"`
	After  Product `json:"after"`
}

// ProductDeleted says that a product was withdrawn. It carries its last state.
type ProductDeleted struct {
	Product Product `json:"product"`
}
