package reporting

import (
	"context"
	"fmt"
)

// schemaName is the schema that the console's role reads.
const schemaName = "reporting"

// View is a view of the schema `reporting`.
type View struct {
	Name    string
	Columns []ResultColumn
}

// Views describes the schema, for completion in an editor: in the order of names,
// columns in their own order.
func (c *Console) Views(ctx context.Context) ([]View, error) {
	// The catalog is the engine's own, so no query of a module: a handful of rows.
	rows, err := c.db.Query(ctx, `
		SELECT table_name::text, column_name::text, data_type::text
		FROM information_schema.columns
		WHERE table_schema = $1
		ORDER BY table_name, ordinal_position`, schemaName)
	if err != nil {
		return nil, fmt.Errorf("read the reporting schema: %w", err)
	}
	defer rows.Close()
	var views []View
	for rows.Next() {
		var view string
		var column ResultColumn
		if err := rows.Scan(&view, &column.Name, &column.Type); err != nil {
			return nil, fmt.Errorf("read the reporting schema: %w", err)
		}
		if len(views) == 0 || views[len(views)-1].Name != view {
			views = append(views, View{Name: view})
		}
		last := &views[len(views)-1]
		last.Columns = append(last.Columns, column)
	}
	return views, rows.Err()
}
