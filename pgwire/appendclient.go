package pgwire

import (
	"encoding/binary"
	"strings"
)

// AppendStartup appends a StartupMessage of protocol 3.0.
func AppendStartup(dst []byte, params []Param) []byte {
	return AppendStartupVersion(dst, ProtocolMajor, 0, params)
}

// AppendStartupVersion appends a StartupMessage of any version.
func AppendStartupVersion(dst []byte, major, minor uint16, params []Param) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, major)
	dst = binary.BigEndian.AppendUint16(dst, minor)
	for _, p := range params {
		dst = appendString(dst, p.Name)
		dst = appendString(dst, p.Value)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// AppendSSLRequest appends an SSLRequest.
func AppendSSLRequest(dst []byte) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 8), codeSSLRequest)
}

// AppendGSSENCRequest appends a GSSENCRequest.
func AppendGSSENCRequest(dst []byte) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 8), codeGSSENCRequest)
}

// AppendCancelRequest appends a CancelRequest.
func AppendCancelRequest(dst []byte, pid uint32, key []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(lengthWord+codeWord+4+len(key)))
	dst = binary.BigEndian.AppendUint32(dst, codeCancelRequest)
	dst = binary.BigEndian.AppendUint32(dst, pid)
	return append(dst, key...)
}

// AppendPassword appends a PasswordMessage: a password in plain, or the answer to AuthenticationMD5Password.
func AppendPassword(dst []byte, password string) []byte {
	dst, at := begin(dst, KindPassword)
	return finish(appendString(dst, password), at)
}

// AppendSASLInitialResponse appends a SASLInitialResponse.
func AppendSASLInitialResponse(dst []byte, mechanism string, data []byte) []byte {
	dst, at := begin(dst, KindPassword)
	dst = appendString(dst, mechanism)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
	return finish(append(dst, data...), at)
}

// AppendSASLResponse appends a SASLResponse.
func AppendSASLResponse(dst, data []byte) []byte {
	dst, at := begin(dst, KindPassword)
	return finish(append(dst, data...), at)
}

// AppendQuery appends a Query.
func AppendQuery(dst []byte, sql string) []byte {
	dst, at := begin(dst, KindQuery)
	return finish(appendString(dst, sql), at)
}

// AppendParse appends a Parse; name "" is the unnamed statement.
func AppendParse(dst []byte, name, sql string, types []uint32) []byte {
	dst, at := begin(dst, KindParse)
	dst = appendString(dst, name)
	dst = appendString(dst, sql)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(types)))
	for _, oid := range types {
		dst = binary.BigEndian.AppendUint32(dst, oid)
	}
	return finish(dst, at)
}

// AppendBind appends a Bind whose parameters and results are text; a nil parameter is NULL.
func AppendBind(dst []byte, portal, statement string, params [][]byte) []byte {
	dst, at := begin(dst, KindBind)
	dst = appendString(dst, portal)
	dst = appendString(dst, statement)
	dst = append(dst, 0, 0)
	dst = appendValues(dst, params)
	return finish(append(dst, 0, 0), at)
}

// AppendDescribe appends a Describe; target is TargetStatement or TargetPortal.
func AppendDescribe(dst []byte, target byte, name string) []byte {
	return appendTarget(dst, KindDescribe, target, name)
}

// AppendClose appends a Close; target is TargetStatement or TargetPortal.
func AppendClose(dst []byte, target byte, name string) []byte {
	return appendTarget(dst, KindClose, target, name)
}

func appendTarget(dst []byte, kind, target byte, name string) []byte {
	dst, at := begin(dst, kind)
	return finish(appendString(append(dst, target), name), at)
}

// AppendRenamed appends the front of a Parse, Bind, Describe or Close that names a statement: what stands before the name, the name,
// and its NUL. rest is how many bytes of the message the caller puts behind it.
func AppendRenamed(dst []byte, kind byte, before []byte, name string, rest int) []byte {
	dst, at := begin(dst, kind)
	dst = appendString(append(dst, before...), name)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at+rest))
	return dst
}

// AppendExecute appends an Execute; limit 0 means all rows.
func AppendExecute(dst []byte, portal string, limit uint32) []byte {
	dst, at := begin(dst, KindExecute)
	dst = appendString(dst, portal)
	return finish(binary.BigEndian.AppendUint32(dst, limit), at)
}

// AppendSync appends a Sync.
func AppendSync(dst []byte) []byte { return appendEmpty(dst, KindSync) }

// AppendFlush appends a Flush.
func AppendFlush(dst []byte) []byte { return appendEmpty(dst, KindFlush) }

// AppendTerminate appends a Terminate.
func AppendTerminate(dst []byte) []byte { return appendEmpty(dst, KindTerminate) }

// AppendCopyFail appends a CopyFail.
func AppendCopyFail(dst []byte, reason string) []byte {
	dst, at := begin(dst, KindCopyFail)
	return finish(appendString(dst, reason), at)
}

func appendEmpty(dst []byte, kind byte) []byte { return append(dst, kind, 0, 0, 0, minLength) }

// begin appends the header of a message; finish, given at, fills in its length.
func begin(dst []byte, kind byte) (out []byte, at int) {
	return append(dst, kind, 0, 0, 0, 0), len(dst) + 1
}

func finish(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// appendString appends s and its NUL. What stands behind a NUL inside s is left out: it could only be read as something else.
func appendString(dst []byte, s string) []byte {
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	return append(append(dst, s...), 0)
}

// appendValues appends a count and as many values with their lengths; nil is NULL.
func appendValues(dst []byte, values [][]byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(values)))
	for _, v := range values {
		if v == nil {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v)))
		dst = append(dst, v...)
	}
	return dst
}
