package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"florin/internal/api"
	"florin/internal/export"
	"florin/internal/platform/clock"
)

// exportManageFlags are what all commands about the catalog of exports have.
type exportManageFlags struct {
	databaseFlags
	JSON bool `help:"Print JSON, with the members that the API has."`
}

// with calls do with what manages the exports of the database that the flags name.
func (f *exportManageFlags) with(ctx context.Context, allowed export.Allowed, do func(*export.Control) error) error {
	db, done, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	return do(export.NewControl(db, allowed, clock.System))
}

type exportCreateCommand struct {
	exportManageFlags
	To     string `help:"Where to: s3://BUCKET/PATH, gs://BUCKET/PATH, kafka://HOST:PORT, webhook-https://HOST/PATH or external://NAME, with the parameters that CockroachDB wants. The environment keeps credentials from those who list processes." required:"" env:"FLORIN_EXPORT_TO" placeholder:"URL"`
	Format string `help:"ndjson or parquet." default:"ndjson"`
}

// Run creates the export, or finds the one that there is.
func (c *exportCreateCommand) Run(ctx context.Context) error {
	// Whoever has the database may send it anywhere.
	allowed, err := export.ParseAllowed([]string{c.To})
	if err != nil {
		return err
	}
	return c.with(ctx, allowed, func(control *export.Control) error {
		return c.print(control.Create(ctx, c.To, export.Format(c.Format)))
	})
}

type exportListCommand struct{ exportManageFlags }

// listPage is how many exports are read at once.
const listPage = 500

// Run prints all exports, cancelled ones too.
func (c *exportListCommand) Run(ctx context.Context) error {
	return c.with(ctx, export.Allowed{}, func(control *export.Control) error {
		all := []export.Export{}
		for after := ""; ; after = all[len(all)-1].ID {
			page, err := control.List(ctx, after, listPage)
			if err != nil {
				return err
			}
			all = append(all, page...)
			if len(page) < listPage {
				break
			}
		}
		if !c.JSON {
			return printExports(all)
		}
		shown := make([]api.Export, len(all))
		for i, e := range all {
			shown[i] = api.ExportOf(e)
		}
		return json.NewEncoder(os.Stdout).Encode(shown)
	})
}

// exportOneFlags are what the commands about one export have.
type exportOneFlags struct {
	exportManageFlags
	ID string `arg:"" name:"export" help:"The export's id, as florin export list shows it."`
}

// do prints the export after something was done with it.
func (c *exportOneFlags) do(ctx context.Context, act func(*export.Control, context.Context, string) (export.Export, error)) error {
	return c.with(ctx, export.Allowed{}, func(control *export.Control) error {
		return c.print(act(control, ctx, c.ID))
	})
}

type exportShowCommand struct{ exportOneFlags }

// Run prints an export as it is now.
func (c *exportShowCommand) Run(ctx context.Context) error { return c.do(ctx, (*export.Control).ByID) }

type exportPauseCommand struct{ exportOneFlags }

// Run pauses an export; a paused one stays so.
func (c *exportPauseCommand) Run(ctx context.Context) error {
	return c.do(ctx, (*export.Control).Pause)
}

type exportResumeCommand struct{ exportOneFlags }

// Run resumes an export; a running one stays so.
func (c *exportResumeCommand) Run(ctx context.Context) error {
	return c.do(ctx, (*export.Control).Resume)
}

type exportCancelCommand struct{ exportOneFlags }

// Run cancels an export; a cancelled one stays so.
func (c *exportCancelCommand) Run(ctx context.Context) error {
	return c.do(ctx, (*export.Control).Cancel)
}

// print shows one export.
func (f *exportManageFlags) print(e export.Export, err error) error {
	if err != nil {
		return err
	}
	v := api.ExportOf(e)
	if f.JSON {
		return json.NewEncoder(os.Stdout).Encode(v)
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "%s\t%s\n", name, text)
		}
	}
	line("export", v.ExportID)
	line("destination", v.Destination)
	line("kind", v.Kind)
	line("format", v.Format)
	line("status", v.Status)
	line("lag", lagText(v))
	if v.ResolvedAt != nil {
		line("resolved at", v.ResolvedAt.Format(time.RFC3339Nano))
	}
	if v.Rows != nil {
		line("rows", fmt.Sprint(*v.Rows))
	}
	line("error", v.Error)
	line("created at", v.CreatedAt.Format(time.RFC3339Nano))
	line("updated at", v.UpdatedAt.Format(time.RFC3339Nano))
	return out.Flush()
}

func printExports(all []export.Export) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "EXPORT\tSTATUS\tLAG\tFORMAT\tDESTINATION\tERROR")
	for _, e := range all {
		v := api.ExportOf(e)
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", v.ExportID, v.Status, lagText(v), v.Format, v.Destination, v.Error)
	}
	return out.Flush()
}

// lagText is the lag for people; "-" for what is cancelled.
func lagText(v api.Export) string {
	if v.LagSeconds == nil {
		return "-"
	}
	return time.Duration(*v.LagSeconds * float64(time.Second)).Round(time.Second).String()
}
