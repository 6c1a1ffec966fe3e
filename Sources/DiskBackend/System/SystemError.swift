internal import Glibc
import IPAM

/// A call of the system that failed.
struct SystemError: Error, Hashable, CustomStringConvertible {
  /// What was tried, as in `open /var/lib/cni/networks/net/lock`.
  let what: String
  /// The errno.
  let code: Int32

  /// What was tried and why it failed, in the words that Go, and so host-local, has for it.
  var description: String {
    let text = String(cString: strerror(code))
    return "\(what): \(text.prefix(1).lowercased())\(text.dropFirst())"
  }

  /// What the operator can do about it.
  private var advice: String {
    switch code {
    case EACCES, EPERM: "; run as a user who may write there, or choose another dataDir"
    case ENOSPC, EDQUOT: "; free space or inodes on its file system"
    case EROFS: "; its file system is mounted read-only: remount it or choose another dataDir"
    case ENOTDIR, EISDIR: "; remove what stands there, or choose another dataDir"
    case ELOOP: "; a symbolic link stands where a plain file belongs: remove it"
    case EMFILE, ENFILE: "; raise the limit of open files"
    default: ""
    }
  }

  var asStoreError: StoreError { StoreError(.io, description + advice) }
}
