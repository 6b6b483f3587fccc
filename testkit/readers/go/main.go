// Command readers reads YAML documents with the libraries that Helm, Argo CD and Kubernetes tools read them with.
//
// Without arguments it lists the readers, one `name version` a line. With the name of a reader it takes a JSON array of documents
// on its input and answers with a JSON array of verdicts in the same order: {"value": …} or {"error": "…"}.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime/debug"

	yamlv2 "go.yaml.in/yaml/v2"
	yamlv3 "go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"
)

type verdict struct {
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
}

type reader struct {
	name, module string
	read         func(document []byte) (any, error)
}

var readers = []reader{
	{"go-yaml-v2", "go.yaml.in/yaml/v2", func(document []byte) (value any, err error) {
		return value, yamlv2.Unmarshal(document, &value)
	}},
	{"go-yaml-v3", "go.yaml.in/yaml/v3", func(document []byte) (value any, err error) {
		return value, yamlv3.Unmarshal(document, &value)
	}},
	{"sigs-yaml", "sigs.k8s.io/yaml", func(document []byte) (any, error) {
		converted, err := sigs.YAMLToJSON(document)
		return json.RawMessage(converted), err
	}},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		for _, reader := range readers {
			fmt.Println(reader.name, version(reader.module))
		}
		return nil
	}
	for _, reader := range readers {
		if reader.name == args[0] {
			return judge(reader)
		}
	}
	return fmt.Errorf("no reader is called %q", args[0])
}

func version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "unknown"
}

func judge(reader reader) error {
	var documents []string
	if err := json.NewDecoder(os.Stdin).Decode(&documents); err != nil {
		return err
	}
	verdicts := make([]verdict, len(documents))
	for i, document := range documents {
		verdicts[i] = judgeOne(reader, document)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func judgeOne(reader reader, document string) (answer verdict) {
	defer func() {
		if fault := recover(); fault != nil {
			answer = verdict{Error: fmt.Sprint("panic: ", fault)}
		}
	}()
	value, err := reader.read([]byte(document))
	if err != nil {
		return verdict{Error: err.Error()}
	}
	typed, err := encode(value)
	if err != nil {
		return verdict{Error: err.Error()}
	}
	return verdict{Value: typed}
}

// encode turns what a library read into JSON, and refuses every type that JSON does not have.
func encode(value any) (json.RawMessage, error) {
	switch value := value.(type) {
	case nil, bool, string, int, int64, uint64, json.RawMessage:
		return marshal(value)
	case float64:
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return nil, fmt.Errorf("read as the float %v", value)
		}
		return marshal(value)
	case []any:
		return encodeList(value)
	case map[string]any:
		return encodeMap(value)
	case map[any]any:
		named, err := withTextKeys(value)
		if err != nil {
			return nil, err
		}
		return encodeMap(named)
	default:
		return nil, fmt.Errorf("read as the type %T", value)
	}
}

func encodeList(items []any) (json.RawMessage, error) {
	encoded := make([]json.RawMessage, len(items))
	for i, item := range items {
		var err error
		if encoded[i], err = encode(item); err != nil {
			return nil, err
		}
	}
	return marshal(encoded)
}

func encodeMap(entries map[string]any) (json.RawMessage, error) {
	encoded := make(map[string]json.RawMessage, len(entries))
	for key, value := range entries {
		var err error
		if encoded[key], err = encode(value); err != nil {
			return nil, err
		}
	}
	return marshal(encoded)
}

func withTextKeys(entries map[any]any) (map[string]any, error) {
	named := make(map[string]any, len(entries))
	for key, value := range entries {
		text, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("a key was read as %v of the type %T", key, key)
		}
		named[text] = value
	}
	return named, nil
}

func marshal(value any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(out.Bytes()), err
}
