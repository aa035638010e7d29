package api

// readMap reads an object of at most most members, whatever their names are; read
// takes the value of one. An empty object is not nil.
func readMap[V any](d *decoder, into *map[string]V, most int, read func(*decoder, *V)) {
	if !d.is('{', "a JSON object") {
		return
	}
	d.token()
	*into = map[string]V{}
	for !d.isFull() {
		token := d.token()
		if token.Kind() != '"' { // the end, or no JSON
			return
		}
		name := token.String()
		if _, isGiven := (*into)[name]; isGiven {
			d.value()
			d.problem("is given twice")
			continue
		}
		if len(*into) == most {
			d.problemAt(d.json.StackPointer().Parent(), "must have at most %d members", most)
			d.broken = true // what follows may be without end
			return
		}
		var value V
		if d.json.PeekKind() == 'n' {
			d.value()
			d.problem("must not be null")
			continue
		}
		read(d, &value)
		(*into)[name] = value
	}
}

// readOptionalInt tells a whole number that is given from one that is not.
func (d *decoder) readOptionalInt(into **int) {
	n := 0
	before := len(d.problems)
	if d.readInt(&n); len(d.problems) == before {
		*into = &n
	}
}
