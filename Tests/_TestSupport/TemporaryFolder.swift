// Folders that go away: with the object, or at the latest when the process exits.

internal import Glibc
internal import Synchronization

/// A new private folder, removed with everything in it when this object goes away.
package final class TemporaryFolder: Sendable {
  package let path: String

  private static let paths = Mutex<Set<String>>([])
  private static let atExit: Void = {
    atexit { TemporaryFolder.paths.withLock { for path in $0 { TemporaryFolder.remove(path) } } }
  }()

  package init() throws {
    Self.atExit
    let base = environmentVariable("TMPDIR") ?? "/tmp"
    var template = Array("\(base)/cni-ipam-consul-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw TestSupportError("cannot make a folder in \(base)", errno)
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    _ = Self.paths.withLock { $0.insert(path) }
  }

  deinit {
    Self.remove(path)
    _ = Self.paths.withLock { $0.remove(path) }
  }

  /// Removes depth first, without following links.
  private static func remove(_ path: String) {
    if unlink(path) == 0 || errno == ENOENT { return }
    if let folder = opendir(path) {
      while let entry = readdir(folder) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
        }
        if name != "." && name != ".." { remove("\(path)/\(name)") }
      }
      closedir(folder)
    }
    rmdir(path)
  }
}
