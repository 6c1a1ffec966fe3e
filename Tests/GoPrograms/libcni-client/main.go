// A container runtime's side of CNI, by the library that real runtimes use:
//
//	libcni-client [-path DIRS] [-cache DIR] [-args K=V;K=V] [-capabilities JSON]
//	    ADD|CHECK|DEL|CACHED CONFIGURATION CONTAINER NETNS INTERFACE
//
// CONFIGURATION is the path of a network list, or of a single plugin's configuration as Multus has
// them. ADD prints the result, CACHED the result that the library kept; a failure prints its error
// object and ends with status 1.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

func main() {
	path := flag.String("path", "/opt/cni/bin", "where the plugins are")
	cache := flag.String("cache", "", "where results are kept")
	args := flag.String("args", "", "CNI_ARGS")
	capabilities := flag.String("capabilities", "{}", "what the runtime can say")
	flag.Parse()
	if flag.NArg() != 5 {
		flag.Usage()
		os.Exit(2)
	}
	runtime := &libcni.RuntimeConf{
		ContainerID: flag.Arg(2), NetNS: flag.Arg(3), IfName: flag.Arg(4),
	}
	for _, pair := range strings.FieldsFunc(*args, func(c rune) bool { return c == ';' }) {
		key, value, _ := strings.Cut(pair, "=")
		runtime.Args = append(runtime.Args, [2]string{key, value})
	}
	check(json.Unmarshal([]byte(*capabilities), &runtime.CapabilityArgs))
	list, err := load(flag.Arg(1))
	check(err)

	client := libcni.NewCNIConfigWithCacheDir(filepath.SplitList(*path), *cache, nil)
	var result types.Result
	switch command := flag.Arg(0); command {
	case "ADD":
		result, err = client.AddNetworkList(context.Background(), list, runtime)
	case "CHECK":
		err = client.CheckNetworkList(context.Background(), list, runtime)
	case "DEL":
		err = client.DelNetworkList(context.Background(), list, runtime)
	case "CACHED":
		result, err = client.GetNetworkListCachedResult(list, runtime)
	default:
		err = fmt.Errorf("no command %q", command)
	}
	check(err)
	if result != nil {
		check(result.Print())
	}
}

func load(path string) (*libcni.NetworkConfigList, error) {
	if list, err := libcni.ConfListFromFile(path); err == nil {
		return list, nil
	}
	single, err := libcni.ConfFromFile(path)
	if err != nil {
		return nil, err
	}
	return libcni.ConfListFromConf(single)
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
