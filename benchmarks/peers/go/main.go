// A server with Go's net/http and pgx.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	shown = "id::text, sku, name, description, price::text, stock, status, tags, attributes, shelf_id::text, created_at, " +
		"updated_at, created_by, updated_by, version"
	readSQL = "SELECT " + shown + " FROM tests_article WHERE id = $1 AND deleted_at IS NULL"
	listSQL = "SELECT " + shown + " FROM tests_article WHERE deleted_at IS NULL AND status = $1 " +
		"ORDER BY tests_article.price, tests_article.id LIMIT $2"
	createSQL = "INSERT INTO tests_article (id, sku, name, price, stock, description, status, tags, attributes, " +
		"shelf_id, created_by, updated_by) VALUES (gen_random_uuid(), $1, $2, $3::text::numeric, $4, '', 'draft', '{}', " +
		"'{}', $5, 'bench', 'bench') RETURNING " + shown
	updateSQL = "UPDATE tests_article SET stock = $3, version = version + 1, updated_at = now() " +
		"WHERE id = $1 AND version = $2 AND deleted_at IS NULL RETURNING " + shown
)

type article struct {
	ID          string          `json:"id"`
	SKU         string          `json:"sku"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Price       string          `json:"price"`
	Stock       int             `json:"stock"`
	Status      string          `json:"status"`
	Tags        []string        `json:"tags"`
	Attributes  json.RawMessage `json:"attributes"`
	ShelfID     string          `json:"shelf_id"`
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
	CreatedBy   string          `json:"created_by"`
	UpdatedBy   string          `json:"updated_by"`
	Version     int             `json:"version"`
}

var pool *pgxpool.Pool

func scan(row pgx.CollectableRow) (a article, err error) {
	err = row.Scan(&a.ID, &a.SKU, &a.Name, &a.Description, &a.Price, &a.Stock, &a.Status, &a.Tags, &a.Attributes,
		&a.ShelfID, &a.CreatedAt, &a.UpdatedAt, &a.CreatedBy, &a.UpdatedBy, &a.Version)
	return
}

func one(w http.ResponseWriter, r *http.Request, status, absent int, sql string, values ...any) {
	rows, _ := pool.Query(r.Context(), sql, values...)
	found, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		w.WriteHeader(absent)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("ETag", `"`+strconv.Itoa(found.Version)+`"`)
	send(w, status, found)
}

func send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func read(w http.ResponseWriter, r *http.Request) {
	one(w, r, http.StatusOK, http.StatusNotFound, readSQL, r.PathValue("id"))
}

func list(w http.ResponseWriter, r *http.Request) {
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rows, _ := pool.Query(r.Context(), listSQL, r.FormValue("status"), limit)
	items, err := pgx.CollectRows(rows, scan)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	send(w, http.StatusOK, map[string]any{"items": items})
}

func create(w http.ResponseWriter, r *http.Request) {
	var a article
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil || len(a.SKU) > 40 || len(a.Name) > 200 || a.Stock < 0 {
		http.Error(w, "wrong body", http.StatusUnprocessableEntity)
		return
	}
	one(w, r, http.StatusCreated, http.StatusInternalServerError, createSQL, a.SKU, a.Name, a.Price, a.Stock, a.ShelfID)
}

func update(w http.ResponseWriter, r *http.Request) {
	var a article
	version, err := strconv.Atoi(strings.Trim(r.Header.Get("If-Match"), `"`))
	if err != nil || json.NewDecoder(r.Body).Decode(&a) != nil || a.Stock < 0 {
		http.Error(w, "wrong request", http.StatusUnprocessableEntity)
		return
	}
	one(w, r, http.StatusOK, http.StatusPreconditionFailed, updateSQL, r.PathValue("id"), version, a.Stock)
}

func main() {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = 8
	if pool, err = pgxpool.NewWithConfig(context.Background(), config); err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /api/v1/articles/{id}", read)
	http.HandleFunc("GET /api/v1/articles", list)
	http.HandleFunc("POST /api/v1/articles", create)
	http.HandleFunc("PATCH /api/v1/articles/{id}", update)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
