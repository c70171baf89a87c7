package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// object is JSON in the making; encoding/json sorts its names.
type object = map[string]any

// document serves the OpenAPI document; it names nothing that is secret.
func (a *api) document(w http.ResponseWriter, _ *http.Request) error {
	return write(w, http.StatusOK, "application/json", a.openAPI())
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// openAPI describes the routes (OpenAPI 3.1.1), from the same table that serves them.
func (a *api) openAPI() object {
	paths, schemas := object{}, object{}
	for _, r := range a.routes() {
		var parameters []object
		for _, m := range pathParameter.FindAllStringSubmatch(r.path, -1) {
			parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
		}
		for _, p := range r.query {
			parameters = append(parameters, p.object("query"))
		}
		for _, p := range r.header {
			parameters = append(parameters, p.object("header"))
		}
		operation := object{
			"operationId": r.id, "summary": r.about, "security": []object{{"token": []string{r.scope}}},
			"description": "Scope: " + r.scope,
			"responses": object{
				"200":     object{"description": "Done", "content": object{"application/json": object{"schema": schemaOf(reflect.TypeOf(r.answer), schemas)}}},
				"default": object{"description": "What went wrong, and what to do", "content": object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/problem"}}}},
			},
		}
		if len(parameters) > 0 {
			operation["parameters"] = parameters
		}
		if r.body != nil {
			operation["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": schemaOf(reflect.TypeOf(r.body), schemas)}}}
		}
		path, _ := paths[r.path].(object)
		if path == nil {
			path = object{}
			paths[r.path] = path
		}
		path[strings.ToLower(r.method)] = operation
	}
	schemas["problem"] = object{"type": "object", "description": "RFC 9457", "required": []string{"type", "title", "status", "detail"}, "properties": object{
		"type": object{"type": "string"}, "title": object{"type": "string"}, "status": object{"type": "integer"}, "detail": object{"type": "string", "description": "A sentence that says what to do"}}}
	return object{
		"openapi": "3.1.1",
		"info":    object{"title": "Assent", "version": "1", "description": "Sites, notice versions, consent records, receipts and erasing. Lists come in pages: next is the cursor of the page that follows."},
		"servers": []object{{"url": prefix}},
		"paths":   paths,
		"components": object{"schemas": schemas, "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer",
			"description": "An API token: assent token add"}}},
	}
}

func (p parameter) object(in string) object {
	schema := object{"type": "string", "format": p.kind}
	if p.kind == "integer" || p.kind == "string" {
		schema = object{"type": p.kind}
	}
	return object{"name": p.name, "in": in, "required": p.required, "description": p.about, "schema": schema}
}

// schemaOf describes a type as encoding/json writes it. Structs become components.
func schemaOf(t reflect.Type, schemas object) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[rawJSON]():
		return object{"type": "object"}
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case reflect.Struct:
		name := schemaName(t)
		if schemas[name] == nil {
			schemas[name] = object{} // itself, while it is being made
			properties, required := object{}, []string{}
			fields(t, func(name string, optional bool, kind reflect.Type) {
				properties[name] = schemaOf(kind, schemas)
				if !optional {
					required = append(required, name)
				}
			})
			s := object{"type": "object", "properties": properties}
			if len(required) > 0 {
				s["required"] = required
			}
			schemas[name] = s
		}
		return object{"$ref": "#/components/schemas/" + name}
	}
	panic("api: no schema for " + t.String())
}

// schemaName makes a name of a type's: page[…siteAnswer] is sitePage.
func schemaName(t reflect.Type) string {
	name := t.Name()
	if outer, inner, ok := strings.Cut(name, "["); ok {
		inner = strings.TrimSuffix(inner, "]")
		inner = inner[strings.LastIndex(inner, ".")+1:]
		return strings.TrimSuffix(inner, "Answer") + strings.ToUpper(outer[:1]) + outer[1:]
	}
	return strings.TrimSuffix(name, "Answer")
}

func fields(t reflect.Type, do func(name string, optional bool, kind reflect.Type)) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			fields(f.Type, do)
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		do(name, option == "omitempty", f.Type)
	}
}
