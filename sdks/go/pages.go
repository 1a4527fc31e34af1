package massivesms

import (
	"context"
	"encoding/json"
	"net/url"
)

// Page is one page of a list, newest first.
type Page[T any] struct {
	Object  string `json:"object"`
	URL     string `json:"url"`
	HasMore bool   `json:"has_more"`
	Data    []T    `json:"data"`
	// NextCursor is where to go on from a page that is short of its limit before the end; else the last id is.
	NextCursor string `json:"next_cursor"`
	ids        []string
	client     *Client
	path       string
	query      url.Values
	options    []RequestOption
}

// UnmarshalJSON reads a page.
func (p *Page[T]) UnmarshalJSON(text []byte) error {
	var read struct {
		Object  string `json:"object"`
		URL     string `json:"url"`
		HasMore bool   `json:"has_more"`
		Data    []T    `json:"data"`
		Cursor  string `json:"next_cursor"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	p.Object, p.URL, p.HasMore, p.Data, p.NextCursor = read.Object, read.URL, read.HasMore, read.Data, read.Cursor
	var identified struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &identified); err != nil {
		return err
	}
	for _, item := range identified.Data {
		p.ids = append(p.ids, item.ID)
	}
	return nil
}

func list[T any](ctx context.Context, c *Client, path string, query url.Values, options []RequestOption) (*Page[T], error) {
	page, err := call[Page[T]](ctx, c, "GET", path, query, nil, options)
	if err != nil {
		return nil, err
	}
	page.client, page.path, page.query, page.options = c, path, query, options
	return page, nil
}

// Next returns the page that follows in the direction asked for: older resources, or newer ones where the list was
// asked for with EndingBefore. It is nil after the last page.
func (p *Page[T]) Next(ctx context.Context) (*Page[T], error) {
	if !p.HasMore {
		return nil, nil
	}
	query := copied(p.query)
	cursor, last := "starting_after", p.NextCursor
	if p.backwards() {
		cursor = "ending_before"
	}
	switch {
	case last != "" || len(p.ids) == 0:
	case p.backwards():
		last = p.ids[0]
	default:
		last = p.ids[len(p.ids)-1]
	}
	if last == "" || query.Get(cursor) == last {
		return nil, nil
	}
	query.Set(cursor, last)
	return list[T](ctx, p.client, p.path, query, p.options)
}

func (p *Page[T]) backwards() bool { return p.query.Get("ending_before") != "" }

// Iterator goes through all resources of a list, page by page.
type Iterator[T any] struct {
	ctx     context.Context
	first   func() (*Page[T], error)
	page    *Page[T]
	place   int
	current T
	err     error
	done    bool
}

func iterate[T any](ctx context.Context, c *Client, path string, query url.Values, options []RequestOption) *Iterator[T] {
	return &Iterator[T]{ctx: ctx, first: func() (*Page[T], error) { return list[T](ctx, c, path, query, options) }}
}

// Next goes to the next resource; false after the last one, or where a request failed: see Err.
func (i *Iterator[T]) Next() bool {
	for !i.done && i.err == nil {
		if i.page != nil && i.place < len(i.page.Data) {
			place := i.place
			if i.page.backwards() {
				place = len(i.page.Data) - 1 - place
			}
			i.current = i.page.Data[place]
			i.place++
			return true
		}
		i.turn()
	}
	return false
}

func (i *Iterator[T]) turn() {
	var page *Page[T]
	if i.page == nil {
		page, i.err = i.first()
	} else {
		page, i.err = i.page.Next(i.ctx)
	}
	i.page, i.place, i.done = page, 0, page == nil
}

// Current returns the resource that Next went to.
func (i *Iterator[T]) Current() T { return i.current }

// Err returns the failure that ended the iteration, or nil.
func (i *Iterator[T]) Err() error { return i.err }

// Seq is for `for message, err := range client.Messages.ListAll(ctx, params).Seq`, from Go 1.23 on.
func (i *Iterator[T]) Seq(yield func(T, error) bool) {
	for i.Next() {
		if !yield(i.Current(), nil) {
			return
		}
	}
	if i.err != nil {
		var none T
		yield(none, i.err)
	}
}

// Collect returns at most limit resources, or all where limit is 0.
func (i *Iterator[T]) Collect(limit int) ([]T, error) {
	var all []T
	for (limit == 0 || len(all) < limit) && i.Next() {
		all = append(all, i.Current())
	}
	return all, i.err
}
