package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// clusterFile makes a data folder the home of a cluster.
const clusterFile = "cluster.json"

// cluster is what clusterFile holds. The zero value is no cluster.
type cluster struct {
	// Regions of the nodes, in the order in which they were asked for.
	Regions []string `json:"regions"`
	// Made says that the cluster has answered once: from then on it may hold
	// somebody's data.
	Made bool `json:"made"`
}

var regionName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// validateRegions returns ErrRegions for names that can't be those of a cluster.
func validateRegions(regions []string) error {
	for i, name := range regions {
		if !regionName.MatchString(name) {
			return fmt.Errorf("%w: %q: a region has only lower-case letters, digits and dashes, as in us-east-1", ErrRegions, name)
		}
		if slices.Contains(regions[:i], name) {
			return fmt.Errorf("%w: %s is named twice", ErrRegions, name)
		}
	}
	return nil
}

// grow is the cluster that c becomes when a run asks for regions: c itself, or c
// with more regions at its end. Returns ErrRegions when they are others.
func (c cluster) grow(regions []string) (cluster, error) {
	if len(regions) == 0 {
		return c, nil
	}
	if len(regions) < len(c.Regions) || !slices.Equal(c.Regions, regions[:len(c.Regions)]) {
		has := strings.Join(c.Regions, ",")
		return cluster{}, fmt.Errorf("%w: the data folder holds a cluster of %s, not %s: ask for %s, for none, or for more at the end",
			ErrRegions, has, strings.Join(regions, ","), has)
	}
	return cluster{Regions: regions, Made: c.Made}, nil
}

// readCluster returns the zero value when the folder holds no cluster.
func (f *folder) readCluster() (cluster, error) {
	var c cluster
	text, err := os.ReadFile(f.join(clusterFile))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err == nil && len(c.Regions) == 0 {
		err = errors.New("it names no regions")
	}
	if err == nil {
		err = validateRegions(c.Regions) // they become names of folders
	}
	if err != nil {
		return cluster{}, fmt.Errorf("%w: %s: %w: restore that file from a copy, or move the folder away", ErrBrokenDataDir, f.join(clusterFile), err)
	}
	return c, nil
}

func (f *folder) writeCluster(c cluster) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return f.replace(clusterFile, append(text, '\n'))
}

// node is the folder of a region's node.
func (f *folder) node(region string) *folder {
	return &folder{path: f.join(Cockroach + "-" + region)}
}

// discardUnmade clears a cluster whose first start was cut short, which nobody
// has ever been let into: its nodes may not agree on being one.
func (f *folder) discardUnmade(ctx context.Context, c cluster, o Options) error {
	for _, region := range c.Regions {
		if err := stopOrphan(ctx, f.node(region), o.Log); err != nil {
			return err
		}
		if err := os.RemoveAll(f.node(region).path); err != nil {
			return fmt.Errorf("%w: %w", ErrBrokenDataDir, err)
		}
	}
	return os.Remove(f.join(clusterFile))
}

// startCluster starts a node for each region, and makes them one cluster when
// they are not yet. The caller holds the folder's lock.
func startCluster(ctx context.Context, f *folder, c cluster, o Options, settings []Setting) (*Server, error) {
	if o.Unsafe {
		return nil, fmt.Errorf("%w: a cluster does not run in memory: choose another data folder", ErrRegions)
	}
	nodes := make([]*node, len(c.Regions))
	members := make([]*member, len(c.Regions))
	taken := ports{}
	var err error
	for i, region := range c.Regions {
		if nodes[i], members[i], err = newMember(f.node(region), region, taken, o); err != nil {
			return nil, err
		}
	}
	// Before any node: its folder is then known to be one.
	if err := f.writeCluster(c); err != nil {
		return nil, err
	}
	var join []string
	for _, n := range nodes {
		join = append(join, n.address())
	}
	for _, m := range members {
		m.join = join
	}
	members[0].leads, members[0].settings = true, settings

	s := newServer(nodes, f, o)
	o.Log.Info("starting a CockroachDB cluster", "regions", c.Regions, "first_start", !c.Made)
	starting, starts := errgroup.WithContext(ctx)
	for _, n := range nodes {
		starting.Go(func() error { return s.start(starts, n) })
	}
	if !c.Made {
		starting.Go(func() error { return members[0].initialize(starts) })
	}
	err = starting.Wait()
	if err == nil && !c.Made {
		c.Made = true
		err = f.writeCluster(c)
	}
	if err != nil {
		return nil, errors.Join(err, s.stopNodes(ctx))
	}
	return s, nil
}

// runningCluster are the nodes that another process runs, good for connecting
// only; none when it runs no cluster.
func runningCluster(f *folder, o Options) ([]*node, error) {
	c, err := f.readCluster()
	if err != nil || !c.Made {
		return nil, err
	}
	nodes := make([]*node, 0, len(c.Regions))
	isAnyAlive := false
	for _, region := range c.Regions {
		st := f.node(region).readState()
		isAnyAlive = isAnyAlive || st.Ready && st.alive()
		nodes = append(nodes, &node{
			engine: &member{cockroach: &cockroach{}, region: region}, folder: f.node(region),
			port: st.Port, httpPort: st.HTTPPort, region: region, options: o, log: o.Log,
		})
	}
	if !isAnyAlive {
		return nil, nil
	}
	return nodes, nil
}
