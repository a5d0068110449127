package cjson_test

import (
	"fmt"

	"audittrail/internal/cjson"
)

func ExampleAppendCanonical() {
	out, err := cjson.AppendCanonical(nil, []byte(`{ "b" : 1.50, "a" : "caf\u00e9" }`))
	fmt.Println(string(out), err)
	_, err = cjson.AppendCanonical(nil, []byte(`{"a":1,"\u0061":2}`))
	fmt.Println(err)
	// Output:
	// {"a":"café","b":1.50} <nil>
	// byte 7: duplicate key
}

func ExampleAppendString() {
	fmt.Printf("%s\n", cjson.AppendString(nil, "a \"quote\",\na bell \a and a/slash"))
	// Output: "a \"quote\",\na bell \u0007 and a/slash"
}

func ExampleDecoder_Object() {
	d := cjson.NewDecoder([]byte(`{"name":"gpt-4","runs":3}`))
	var name string
	var runs int64
	err := d.Object(func(key string) (err error) {
		switch key {
		case "name":
			name, err = d.String()
		case "runs":
			runs, err = d.Int()
		default:
			err = fmt.Errorf("unknown field %q", key)
		}
		return err
	})
	if err == nil {
		err = d.End()
	}
	fmt.Println(name, runs, err)
	// Output: gpt-4 3 <nil>
}
