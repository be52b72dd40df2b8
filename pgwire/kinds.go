package pgwire

// Kinds of messages that a client sends (protocol chapter "Message Formats").
const (
	KindBind         byte = 'B'
	KindClose        byte = 'C'
	KindDescribe     byte = 'D'
	KindExecute      byte = 'E'
	KindFunctionCall byte = 'F'
	KindFlush        byte = 'H'
	KindParse        byte = 'P'
	KindQuery        byte = 'Q'
	KindSync         byte = 'S'
	KindTerminate    byte = 'X'
	KindCopyFail     byte = 'f'
	KindPassword     byte = 'p' // PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share the letter
)

// Kinds of messages that both sides send.
const (
	KindCopyData byte = 'd'
	KindCopyDone byte = 'c'
)

// Kinds of messages that a server sends.
const (
	KindAuthentication       byte = 'R'
	KindBackendKeyData       byte = 'K'
	KindBindComplete         byte = '2'
	KindCloseComplete        byte = '3'
	KindCommandComplete      byte = 'C'
	KindCopyInResponse       byte = 'G'
	KindCopyOutResponse      byte = 'H'
	KindCopyBothResponse     byte = 'W'
	KindDataRow              byte = 'D'
	KindEmptyQueryResponse   byte = 'I'
	KindErrorResponse        byte = 'E'
	KindFunctionCallResponse byte = 'V'
	KindNegotiate            byte = 'v' // NegotiateProtocolVersion
	KindNoData               byte = 'n'
	KindNoticeResponse       byte = 'N'
	KindNotification         byte = 'A'
	KindParameterDescription byte = 't'
	KindParameterStatus      byte = 'S'
	KindParseComplete        byte = '1'
	KindPortalSuspended      byte = 's'
	KindReadyForQuery        byte = 'Z'
	KindRowDescription       byte = 'T'
)

// Transaction states in ReadyForQuery.
const (
	StatusIdle          byte = 'I' // not in a transaction block
	StatusInTransaction byte = 'T' // in a transaction block
	StatusFailed        byte = 'E' // in a failed transaction block
)

// What Close and Describe speak of.
const (
	TargetStatement byte = 'S'
	TargetPortal    byte = 'P'
)

// One-byte answers to SSLRequest and GSSENCRequest.
const (
	AnswerSSL  byte = 'S' // TLS begins
	AnswerGSS  byte = 'G' // GSSAPI encryption begins
	AnswerNone byte = 'N' // not here; go on in the clear
)

// Codes in AuthenticationRequest messages.
const (
	AuthOk                uint32 = 0
	AuthKerberosV5        uint32 = 2
	AuthCleartextPassword uint32 = 3
	AuthMD5Password       uint32 = 5
	AuthGSS               uint32 = 7
	AuthGSSContinue       uint32 = 8
	AuthSSPI              uint32 = 9
	AuthSASL              uint32 = 10
	AuthSASLContinue      uint32 = 11
	AuthSASLFinal         uint32 = 12
)

// Codes that stand in a start-up packet in place of a protocol version.
const (
	codeCancelRequest uint32 = 1234<<16 | 5678
	codeSSLRequest    uint32 = 1234<<16 | 5679
	codeGSSENCRequest uint32 = 1234<<16 | 5680
)

// Param is a name and a value: a start-up parameter, a setting, a ParameterStatus.
type Param struct {
	Name  string
	Value string
}
