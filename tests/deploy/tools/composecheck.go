// Composecheck loads Compose files as `docker compose config` does and prints the project as JSON.
//
// Usage: composecheck [-profile NAME]... [-env KEY=VALUE]... FILE...
//
// It exits with status 1, and says why, for whatever Compose itself would refuse: unknown keys, wrong types,
// references to services, volumes or networks that nobody defines, missing variables.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func run() error {
	var profiles, variables list
	flag.Var(&profiles, "profile", "enable this profile")
	flag.Var(&variables, "env", "KEY=VALUE for interpolation")
	flag.Parse()
	if flag.NArg() == 0 {
		return fmt.Errorf("no Compose file named")
	}
	folder, err := filepath.Abs(filepath.Dir(flag.Arg(0)))
	if err != nil {
		return err
	}
	details := types.ConfigDetails{WorkingDir: folder, Environment: types.NewMapping(variables)}
	for _, name := range flag.Args() {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: name})
	}
	project, err := loader.LoadWithContext(context.Background(), details, loader.WithProfiles(profiles))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(project)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
