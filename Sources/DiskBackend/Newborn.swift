internal import Glibc

/// An address file that is complete but has no name yet, so that nobody ever sees a part of one.
final class Newborn {
  let name: String
  let content: [UInt8]
  let status: FileStatus
  private let file: Descriptor
  /// Its name for the time being, where the file system knows no files without.
  private var temporary: (name: String, directory: NetworkDirectory)?

  /// Writes the content, made at a time; with `durably`, to the disk.
  init(
    _ content: [UInt8], named name: String, in directory: NetworkDirectory, time: FileTime,
    durably: Bool
  ) throws(SystemError) {
    var temporary: String?
    let mode = NetworkDirectory.fileMode
    do throws(SystemError) {
      file = try Descriptor(unnamedIn: directory.descriptor, mode: mode)
    } catch  where error.code == EOPNOTSUPP || error.code == EISDIR || error.code == EINVAL {
      let other = NetworkDirectory.temporaryPrefix + name
      try? directory.descriptor.unlink(other)
      file = try Descriptor(
        other, in: directory.descriptor, flags: O_WRONLY | O_CREAT | O_EXCL, mode: mode)
      temporary = other
    }
    try file.write(content)
    try file.setModified(time)
    if durably { try file.synchronize() }
    self.name = name
    self.content = content
    self.status = try file.status()
    self.temporary = temporary.map { ($0, directory) }
  }

  deinit {
    if let temporary { try? temporary.directory.descriptor.unlink(temporary.name) }
  }

  /// Gives the file its name; false if something stands there that is not a dead process's empty file.
  func link(in directory: NetworkDirectory) throws(SystemError) -> Bool {
    for isLastTry in [false, true] {
      do throws(SystemError) {
        if let temporary {
          try directory.descriptor.link(temporary.name, as: name)
        } else {
          try file.link(as: name, in: directory.descriptor)
        }
        return true
      } catch  where error.code == EEXIST {
        let standing = try directory.descriptor.status(of: name)
        guard !isLastTry, standing?.kind == .regular, standing?.size == 0 else { return false }
        try directory.descriptor.unlink(name)
      }
    }
    return false
  }
}
