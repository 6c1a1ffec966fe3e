import AddressSpace
import IPAM
internal import Glibc

// The directory of one network, open and locked. Whatever stands at an address's name keeps the
// address from being handed out, save an empty file: that is what a process leaves that died between
// creating and writing, and whoever has the lock may take it over.

/// What stands at an address's name.
enum AddressFile: Hashable, Sendable {
  case absent
  case empty
  case held(Holder, since: FileTime)
  /// Somebody has it, but who cannot be known; the text says why.
  case unknown(String)
}

/// An open and locked directory; whoever lets go of it lets the next one in.
final class NetworkDirectory: Sendable {
  /// Debian's host-local 1.1.1 makes its files readable to all, and what watches them may count on
  /// that; they say nothing that the process list does not.
  static let fileMode: mode_t = 0o644
  static let lockMode: mode_t = 0o750
  static let directoryMode: mode_t = 0o755
  static let lockName = "lock"
  /// Names of files on their way; left over only by a process that died.
  static let temporaryPrefix = ".cni-ipam-consul."

  let descriptor: Descriptor
  let lock: Descriptor
  let identity: FileIdentity

  /// Takes over what was opened and locked.
  init(_ directory: consuming Descriptor, lock: consuming Descriptor) throws(SystemError) {
    let status = try directory.status()
    let held = try lock.status()
    guard held.kind == .regular else {
      throw SystemError(what: "open \(lock.path)", code: held.kind == .directory ? EISDIR : EINVAL)
    }
    self.descriptor = directory
    self.lock = lock
    self.identity = status.identity
  }

  /// Whether the directory and the lock still have their names: both may have been removed, and made
  /// again by others, while this process waited.
  var isCurrent: Bool {
    get throws(SystemError) {
      do throws(SystemError) {
        let found = try descriptor.status(of: Self.lockName)?.identity
        guard try found == lock.status().identity else { return false }
        return try FileStatus(path: descriptor.path).identity == identity
      } catch  where error.code == ENOENT {
        return false
      }
    }
  }

  /// Opens the lock file, creating it if need be.
  static func openLock(in directory: borrowing Descriptor) throws(SystemError) -> Descriptor {
    do throws(SystemError) {
      return try Descriptor(lockName, in: directory, flags: O_RDWR | O_CREAT, mode: lockMode)
    } catch  where error.code == EROFS || error.code == EACCES {
      // Enough to read by. Where it is missing too, what kept it from being made is the trouble.
      do throws(SystemError) {
        return try Descriptor(lockName, in: directory, flags: O_RDONLY)
      } catch let second {
        throw second.code == ENOENT ? error : second
      }
    }
  }

  /// When the directory last changed.
  var modified: FileTime { get throws(SystemError) { try descriptor.status().modified } }

  /// What stands at an address's name.
  func look(at address: IPAddress) throws(SystemError) -> AddressFile {
    try look(at: address.fileName, kind: nil)
  }

  private func look(at name: String, kind: FileKind?) throws(SystemError) -> AddressFile {
    var known = kind
    if known == nil {
      guard let status = try descriptor.status(of: name) else { return .absent }
      known = status.kind
    }
    let path = "\(descriptor.path)/\(name)"
    switch known {
    case .directory: return .unknown("\(path) is a directory")
    case .regular: break
    default: return .unknown("\(path) is not a plain file")
    }
    do throws(SystemError) {
      let file = try Descriptor(name, in: descriptor, flags: O_RDONLY)
      let content = try file.read(upTo: Holder.longestContent + 1)
      guard !content.isEmpty else { return .empty }
      guard let holder = Holder(parsing: content) else {
        return .unknown("\(path) does not name a container and an interface")
      }
      return .held(holder, since: try file.status().modified)
    } catch  where error.code == ENOENT {
      return .absent
    } catch  where error.code == EMFILE || error.code == ENFILE || error.code == ENOMEM {
      throw error
    } catch {
      return .unknown("\(error)")
    }
  }

  /// Visits what stands at all addresses' names, and removes what dead processes left on its way.
  ///
  /// - Complexity: O(n) names and file contents.
  func visitAddresses(
    _ visit: (IPAddress, AddressFile) throws(SystemError) -> Void
  ) throws(SystemError) {
    var leftovers: [String] = []
    try descriptor.visitNames { (name, kind) throws(SystemError) in
      if name.hasPrefix(Self.temporaryPrefix) { leftovers.append(name) }
      guard let address = IPAddress(fileName: name) else { return }
      let file = try look(at: name, kind: kind)
      if file != .absent { try visit(address, file) }
    }
    for name in leftovers { try? descriptor.unlink(name) }
  }
}

// MARK: - Where sequential searches go on

extension NetworkDirectory {
  private static let cursorPrefix = "last_reserved_ip."

  private static func cursorName(_ set: Int) -> String { "\(cursorPrefix)\(set)" }

  /// The range set whose cursor has a name; nil if none's has.
  static func cursorSet(_ name: String) -> Int? {
    guard name.hasPrefix(cursorPrefix), let set = Int(name.dropFirst(cursorPrefix.count)), set >= 0,
      cursorName(set) == name
    else { return nil }
    return set
  }

  /// The address handed out last from a set; anything that cannot be understood counts as none.
  func cursor(_ set: Int) -> IPAddress? {
    let longest = 64
    guard let file = try? Descriptor(Self.cursorName(set), in: descriptor, flags: O_RDONLY),
      (try? file.status().kind) == .regular,
      let content = try? file.read(upTo: longest),
      let address = try? IPAddress(parsing: String(decoding: content, as: UTF8.self))
    else { return nil }
    return address.ipv4Mapped ?? address
  }

  /// Writes where searches go on; a hint, so that its failure is nobody's. A file that is there is
  /// written over: to replace it would cost a file system more than the rest of the commit (a block
  /// written out at once and another freed), and a hint of which half was written is one still.
  func setCursor(_ set: Int, _ address: IPAddress) {
    let name = Self.cursorName(set)
    let content = Array(address.description.utf8)
    if let file = try? Descriptor(name, in: descriptor, flags: O_WRONLY),
      let status = try? file.status(), status.kind == .regular, status.links == 1,
      (try? file.write(content)) != nil,
      status.size <= content.count || (try? file.truncate(to: content.count)) != nil
    {
      return
    }
    replaceCursor(name, content)
  }

  private func replaceCursor(_ name: String, _ content: [UInt8]) {
    let temporary = Self.temporaryPrefix + name
    do throws(SystemError) {
      try? descriptor.unlink(temporary)
      let file = try Descriptor(
        temporary, in: descriptor, flags: O_WRONLY | O_CREAT | O_EXCL, mode: Self.fileMode)
      try file.write(content)
      try descriptor.rename(temporary, to: name)
    } catch {
      try? descriptor.unlink(temporary)
    }
  }
}
