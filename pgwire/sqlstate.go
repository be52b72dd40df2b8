package pgwire

// SQLSTATEs that pgrouter sends or recognises (PostgreSQL's appendix "Error Codes").
const (
	CodeSuccess                  = "00000"
	CodeWarning                  = "01000"
	CodeCannotConnect            = "08001" // sqlclient_unable_to_establish_sqlconnection
	CodeServerRejected           = "08004" // sqlserver_rejected_establishment_of_sqlconnection
	CodeConnectionFailure        = "08006"
	CodeOutcomeUnknown           = "08007" // transaction_resolution_unknown
	CodeProtocolViolation        = "08P01"
	CodeFeatureNotSupported      = "0A000"
	CodeInvalidParameterValue    = "22023"
	CodeReadOnlyTransaction      = "25006"
	CodeFailedTransaction        = "25P02"
	CodeIdleInTransactionTimeout = "25P03"
	CodeInvalidStatementName     = "26000"
	CodeInvalidAuthorization     = "28000"
	CodeInvalidPassword          = "28P01"
	CodeInvalidCursorName        = "34000"
	CodeUnknownDatabase          = "3D000"
	CodeSerializationFailure     = "40001"
	CodeInsufficientPrivilege    = "42501"
	CodeSyntaxError              = "42601"
	CodeUndefinedObject          = "42704"
	CodeDuplicateStatement       = "42P05"
	CodeTooManyConnections       = "53300"
	CodeConfigurationLimit       = "53400"
	CodeWrongState               = "55000" // object_not_in_prerequisite_state
	CodeCannotChangeNow          = "55P02" // cant_change_runtime_param
	CodeQueryCanceled            = "57014"
	CodeAdminShutdown            = "57P01"
	CodeCrashShutdown            = "57P02"
	CodeCannotConnectNow         = "57P03"
	CodeIdleSessionTimeout       = "57P05"
	CodeConfigFile               = "F0000" // config_file_error
	CodeInternalError            = "XX000"
)
