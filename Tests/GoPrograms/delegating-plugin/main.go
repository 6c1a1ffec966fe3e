// A network plugin that does nothing but delegate to the IPAM plugin that its configuration names:
// every command, those of CNI 1.1.0 too, with its own variables and the same bytes on standard input,
// as the specification's section 4 asks. No plugin of the distribution passes GC or STATUS on.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	check(err)
	var configuration types.NetConf
	check(json.Unmarshal(input, &configuration))
	folders := filepath.SplitList(os.Getenv("CNI_PATH"))
	plugin, err := invoke.FindInPath(configuration.IPAM.Type, folders)
	check(err)
	command := os.Getenv("CNI_COMMAND")
	delegated := &invoke.DelegateArgs{Command: command}
	if command != "ADD" {
		check(invoke.ExecPluginWithoutResult(
			context.Background(), plugin, input, delegated, nil))
		return
	}
	// As bytes, because this library is older than CNI 1.1.0's results.
	result, err := (&invoke.RawExec{Stderr: os.Stderr}).ExecPlugin(
		context.Background(), plugin, input, delegated.AsEnv())
	check(err)
	_, err = os.Stdout.Write(result)
	check(err)
}

func check(err error) {
	if err == nil {
		return
	}
	var failure *types.Error
	if !errors.As(err, &failure) {
		failure = types.NewError(types.ErrInternal, err.Error(), "")
	}
	_ = failure.Print()
	os.Exit(1)
}
