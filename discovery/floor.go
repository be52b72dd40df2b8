package discovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// floorVersion is the version of the floor file. A file of a higher version is refused, not guessed at.
const floorVersion = 1

// maxFloorBytes bounds what is read of a floor file.
const maxFloorBytes = 64 << 10

// floorFile is the file's content. Numbers of 64 bits are strings: many readers of JSON lose their last digits.
type floorFile struct {
	Version   int       `json:"version"`
	Cluster   string    `json:"cluster"`
	SystemID  string    `json:"system_identifier"`
	Timeline  uint32    `json:"timeline"`
	Epoch     string    `json:"epoch"`
	Primary   string    `json:"last_primary"`
	Overruled uint32    `json:"overruled_timeline,omitempty"`
	SavedAt   time.Time `json:"saved_at"`
}

// floorStore keeps a cluster's floor in a file, or nowhere.
type floorStore struct {
	cluster topology.ClusterID
	dir     string // "" : nowhere
	name    string
}

func newFloorStore(cfg Config) *floorStore {
	return &floorStore{cluster: cfg.Cluster, dir: cfg.StateDir, name: filepath.Join(cfg.StateDir, string(cfg.Cluster)+".json")}
}

// load reads the floor. That there is no file means that nothing is known yet; a damaged one is an error, because to go on
// without the floor may mean to serve an old primary.
func (s *floorStore) load() (topology.Floor, error) {
	if s.dir == "" {
		return topology.Floor{}, nil
	}
	text, err := os.ReadFile(s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return topology.Floor{}, nil
	}
	if err != nil {
		return topology.Floor{}, fmt.Errorf("read the floor: %w", err)
	}
	floor, err := parseFloor(text, s.cluster)
	if err != nil {
		return topology.Floor{}, fmt.Errorf("read the floor: %s: %w (remove the file to begin without a floor)", s.name, err)
	}
	return floor, nil
}

// parseFloor reads a floor file's text.
func parseFloor(text []byte, cluster topology.ClusterID) (topology.Floor, error) {
	if len(text) > maxFloorBytes {
		return topology.Floor{}, fmt.Errorf("%d bytes are too many", len(text))
	}
	var f floorFile
	if err := json.Unmarshal(text, &f); err != nil {
		return topology.Floor{}, err
	}
	if f.Version != floorVersion {
		return topology.Floor{}, fmt.Errorf("version %d is not version %d", f.Version, floorVersion)
	}
	if f.Cluster != string(cluster) {
		return topology.Floor{}, fmt.Errorf("it is the floor of cluster %q", f.Cluster)
	}
	system, err := strconv.ParseUint(f.SystemID, 10, 64)
	if err != nil {
		return topology.Floor{}, fmt.Errorf("system identifier: %w", err)
	}
	epoch, err := strconv.ParseUint(f.Epoch, 10, 64)
	if err != nil {
		return topology.Floor{}, fmt.Errorf("epoch: %w", err)
	}
	if system == 0 && f.Timeline != 0 {
		return topology.Floor{}, errors.New("a timeline without a system identifier")
	}
	return topology.Floor{
		SystemID: system, Timeline: f.Timeline, Epoch: topology.Epoch(epoch),
		Primary: topology.NodeID(f.Primary), Overruled: f.Overruled,
	}, nil
}

// formatFloor is parseFloor's inverse.
func formatFloor(floor topology.Floor, cluster topology.ClusterID, now time.Time) ([]byte, error) {
	text, err := json.MarshalIndent(floorFile{
		Version: floorVersion, Cluster: string(cluster),
		SystemID: strconv.FormatUint(floor.SystemID, 10), Timeline: floor.Timeline,
		Epoch: strconv.FormatUint(uint64(floor.Epoch), 10), Primary: string(floor.Primary),
		Overruled: floor.Overruled, SavedAt: now.UTC(),
	}, "", "  ")
	return append(text, '\n'), err
}

// save replaces the file as one step: whoever reads it, also after a crash, finds the old text or the new one.
func (s *floorStore) save(floor topology.Floor, now time.Time) error {
	if s.dir == "" {
		return nil
	}
	text, err := formatFloor(floor, s.cluster, now)
	if err != nil {
		return fmt.Errorf("write the floor: %w", err)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("write the floor: %w", err)
	}
	next := s.name + ".new"
	if err := writeSynced(next, text); err != nil {
		return fmt.Errorf("write the floor: %w", errors.Join(err, removeIfThere(next)))
	}
	if err := os.Rename(next, s.name); err != nil {
		return fmt.Errorf("write the floor: %w", errors.Join(err, removeIfThere(next)))
	}
	if err := syncDir(s.dir); err != nil {
		return fmt.Errorf("write the floor: %w", err)
	}
	return nil
}

func writeSynced(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
