import ConsulBackend
import Glibc
import IPAM

// After a boot no container of before is there any more, but its leases are until somebody releases
// them: the runtime's GC, or `ipamctl reclaim`.

/// The boot that this host is in.
struct HostBoot {
  /// The kernel's id of it; empty if it is not told.
  private let id: String
  /// When it began, in seconds since 1970.
  private let since: UInt64

  /// `now` is in seconds since 1970.
  init(now: UInt64) {
    id = NodeIdentity(unkept: "").node.bootID
    var up = timespec()
    clock_gettime(CLOCK_BOOTTIME, &up)
    since = now - min(now, UInt64(up.tv_sec))
  }

  /// Whether a lease of this host predates it. A directory keeps no id: its files' times are this host's.
  func isAfter(_ lease: Lease) -> Bool {
    let earlier = lease.node.bootID
    if !earlier.isEmpty && !id.isEmpty { return earlier != id }
    return lease.createdAt > 0 && lease.createdAt < since
  }
}
