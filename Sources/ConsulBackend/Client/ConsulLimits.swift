// Every bound of the client in one place, with its reason.

/// The bounds of one client.
package struct ConsulLimits: Sendable {
  /// Connections at once. Consul 1.8 allows 200 per client address, for all processes of a node;
  /// a commit rate grows little beyond 16 requests in flight.
  package var connections = 8
  /// TCP and TLS handshake together: three SYNs (0, 1, 3 s) and then some.
  package var connect = Duration.seconds(5)
  /// Until the kernel has all of a request: 512 KiB at 1 Mbit/s takes 4 s.
  package var write = Duration.seconds(10)
  /// Until the first byte of the reply. An agent holds a request for 7 s plus jitter while there
  /// is no leader; twice that is a server that hangs.
  package var firstByte = Duration.seconds(15)
  /// From the first byte of a reply to its last.
  package var body = Duration.seconds(30)
  /// Bytes of a reply to a single read or a transaction: 128 values of 2.9 KB in base64, or one
  /// of 512 KiB, and 5 times that.
  package var reply = 4 << 20
  /// Bytes of a reply to a listing: a /16 in leases of 400 bytes is 65,536 × 0.8 KB = 50 MiB.
  package var listing = 256 << 20
  /// A connection idle for longer is not used again: a proxy may be about to close it, which
  /// would leave the outcome of a commit unknown.
  package var idle = Duration.seconds(30)

  package init() {}
}
