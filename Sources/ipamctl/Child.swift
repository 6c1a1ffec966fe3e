import Glibc

/// Another program, run to its end.
enum Child {
  /// How long one may take, in hundredths of a second.
  private static let patience = 500

  /// What a program prints; nil if it cannot be run, does not end in time, or fails and that is not
  /// what is looked for.
  static func output(
    of command: [String], environment: [String], input: [UInt8] = [], evenIfItFails: Bool = false
  ) -> [UInt8]? {
    guard let file = namelessFile() else { return nil }
    defer { close(file) }
    guard let source = namelessFile() else { return nil }
    defer { close(source) }
    guard write(source, input, input.count) == input.count, lseek(source, 0, SEEK_SET) == 0 else {
      return nil
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, source, STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, file, STDOUT_FILENO)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { for text in words + variables { free(text) } }
    var pid = pid_t()
    guard posix_spawn(&pid, command[0], &actions, nil, &words, &variables) == 0 else { return nil }
    var status: Int32 = 0
    var waited = 0
    while waitpid(pid, &status, WNOHANG) == 0 {
      if waited == patience { kill(pid, SIGKILL) }
      waited += 1
      usleep(10_000)
    }
    let isEnded = status & 0x7f == 0 && (status == 0 || evenIfItFails)
    guard isEnded, lseek(file, 0, SEEK_SET) == 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(file, &bytes, bytes.count)
    return count >= 0 ? Array(bytes[..<count]) : nil
  }
  private static func namelessFile() -> Int32? {
    let name = "/tmp/ipamctl-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { return nil }
    unlink(name)
    return file
  }
}
