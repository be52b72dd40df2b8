package pgwire

import "encoding/binary"

// AppendAuthOk appends an AuthenticationOk.
func AppendAuthOk(dst []byte) []byte { return appendAuth(dst, AuthOk, nil) }

// AppendAuthCleartextPassword appends an AuthenticationCleartextPassword.
func AppendAuthCleartextPassword(dst []byte) []byte {
	return appendAuth(dst, AuthCleartextPassword, nil)
}

// AppendAuthMD5Password appends an AuthenticationMD5Password.
func AppendAuthMD5Password(dst []byte, salt [4]byte) []byte {
	dst, at := begin(dst, KindAuthentication)
	dst = binary.BigEndian.AppendUint32(dst, AuthMD5Password)
	return finish(append(dst, salt[0], salt[1], salt[2], salt[3]), at)
}

// AppendAuthSASL appends an AuthenticationSASL with the mechanisms on offer, the best first.
func AppendAuthSASL(dst []byte, mechanisms ...string) []byte {
	dst, at := begin(dst, KindAuthentication)
	dst = binary.BigEndian.AppendUint32(dst, AuthSASL)
	for _, m := range mechanisms {
		dst = appendString(dst, m)
	}
	return finish(append(dst, 0), at)
}

// AppendAuthSASLContinue appends an AuthenticationSASLContinue.
func AppendAuthSASLContinue(dst, data []byte) []byte { return appendAuth(dst, AuthSASLContinue, data) }

// AppendAuthSASLFinal appends an AuthenticationSASLFinal.
func AppendAuthSASLFinal(dst, data []byte) []byte { return appendAuth(dst, AuthSASLFinal, data) }

func appendAuth(dst []byte, code uint32, data []byte) []byte {
	dst, at := begin(dst, KindAuthentication)
	dst = binary.BigEndian.AppendUint32(dst, code)
	return finish(append(dst, data...), at)
}

// AppendNegotiate appends a NegotiateProtocolVersion: 3.minor is the version of the session, unknown are the protocol
// options that are not known here. It goes out once, before the first AuthenticationRequest.
func AppendNegotiate(dst []byte, minor uint16, unknown []string) []byte {
	dst, at := begin(dst, KindNegotiate)
	dst = binary.BigEndian.AppendUint32(dst, ProtocolMajor<<16|uint32(minor))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(unknown)))
	for _, name := range unknown {
		dst = appendString(dst, name)
	}
	return finish(dst, at)
}

// AppendParameterStatus appends a ParameterStatus.
func AppendParameterStatus(dst []byte, name, value string) []byte {
	dst, at := begin(dst, KindParameterStatus)
	return finish(appendString(appendString(dst, name), value), at)
}

// AppendBackendKeyData appends a BackendKeyData; key has 4 bytes in protocol 3.0, 4 to 256 in 3.2.
func AppendBackendKeyData(dst []byte, pid uint32, key []byte) []byte {
	dst, at := begin(dst, KindBackendKeyData)
	dst = binary.BigEndian.AppendUint32(dst, pid)
	return finish(append(dst, key...), at)
}

// AppendReadyForQuery appends a ReadyForQuery; status is StatusIdle, StatusInTransaction or StatusFailed.
func AppendReadyForQuery(dst []byte, status byte) []byte {
	return append(dst, KindReadyForQuery, 0, 0, 0, 5, status)
}

// AppendCommandComplete appends a CommandComplete.
func AppendCommandComplete(dst []byte, tag string) []byte {
	dst, at := begin(dst, KindCommandComplete)
	return finish(appendString(dst, tag), at)
}

// AppendEmptyQueryResponse appends an EmptyQueryResponse.
func AppendEmptyQueryResponse(dst []byte) []byte { return appendEmpty(dst, KindEmptyQueryResponse) }

// AppendParseComplete appends a ParseComplete.
func AppendParseComplete(dst []byte) []byte { return appendEmpty(dst, KindParseComplete) }

// AppendBindComplete appends a BindComplete.
func AppendBindComplete(dst []byte) []byte { return appendEmpty(dst, KindBindComplete) }

// AppendCloseComplete appends a CloseComplete.
func AppendCloseComplete(dst []byte) []byte { return appendEmpty(dst, KindCloseComplete) }

// AppendNoData appends a NoData.
func AppendNoData(dst []byte) []byte { return appendEmpty(dst, KindNoData) }

// AppendParameterDescription appends a ParameterDescription.
func AppendParameterDescription(dst []byte, types []uint32) []byte {
	dst, at := begin(dst, KindParameterDescription)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(types)))
	for _, oid := range types {
		dst = binary.BigEndian.AppendUint32(dst, oid)
	}
	return finish(dst, at)
}

// Types of columns that pgrouter's own results have (pg_type.oid).
const (
	OIDInt8   uint32 = 20
	OIDInt4   uint32 = 23
	OIDText   uint32 = 25
	OIDFloat8 uint32 = 701
)

// Column is a column of a result that is sent as text.
type Column struct {
	Name string
	OID  uint32 // 0 is OIDText
}

// AppendRowDescription appends a RowDescription of columns of type text.
func AppendRowDescription(dst []byte, names []string) []byte {
	dst, at := begin(dst, KindRowDescription)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(names)))
	for _, name := range names {
		dst = appendColumn(dst, Column{Name: name})
	}
	return finish(dst, at)
}

// AppendColumns appends a RowDescription.
func AppendColumns(dst []byte, columns []Column) []byte {
	dst, at := begin(dst, KindRowDescription)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(columns)))
	for _, c := range columns {
		dst = appendColumn(dst, c)
	}
	return finish(dst, at)
}

// appendColumn appends one column: of no table, without a type modifier, in text format.
func appendColumn(dst []byte, c Column) []byte {
	oid, size := c.OID, uint16(0xffff) // -1: variable
	switch oid {
	case 0:
		oid = OIDText
	case OIDInt8, OIDFloat8:
		size = 8
	case OIDInt4:
		size = 4
	}
	dst = appendString(dst, c.Name)
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, oid)
	dst = binary.BigEndian.AppendUint16(dst, size)
	return append(dst, 0xff, 0xff, 0xff, 0xff, 0, 0)
}

// AppendDataRow appends a DataRow of values that are not NULL.
func AppendDataRow(dst []byte, values []string) []byte {
	dst, at := begin(dst, KindDataRow)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(values)))
	for _, v := range values {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v)))
		dst = append(dst, v...)
	}
	return finish(dst, at)
}

// AppendDataRowBytes appends a DataRow; nil is NULL.
func AppendDataRowBytes(dst []byte, values [][]byte) []byte {
	dst, at := begin(dst, KindDataRow)
	return finish(appendValues(dst, values), at)
}
