package reactor

import "errors"

// CloseWrite says, in blocking mode, that nothing more will be written; the peer may go on. Another goroutine may be reading.
func (s *Socket) CloseWrite() error {
	half, ok := s.inner.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}
