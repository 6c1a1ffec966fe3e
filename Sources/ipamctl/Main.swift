import ArgumentParser
import ConsulBackend
import Glibc

// The operator's command line: each command is a file that reads its arguments, asks the modules
// below and prints. What is decided about a network is decided there, not here.

/// How a run ends; part of the interface for scripts.
enum ExitStatus: Int32 {
  case done = 0
  /// The answer is no: findings, a refusal for somebody's sake, a lost race, nothing of that name.
  case no = 1
  /// Arguments or a document that cannot be understood; nothing was tried.
  case usage = 2
  /// The store cannot be reached or gives no answer: try again later.
  case unavailable = 3
  /// The store refuses or fails: permission, damaged data, a file that cannot be read.
  case failed = 4

  static let help = """
    EXIT STATUS
      0  done, nothing wrong
      1  the answer is no: findings are left, addresses are held, no such network
      2  arguments or a definition that cannot be understood; nothing was tried
      3  the store cannot be reached or gives no answer: try again later
      4  the store refuses or fails: permission, damaged data, unreadable file
    """
}

/// An end of the program other than success.
struct Failure: Error, CustomStringConvertible {
  let status: ExitStatus
  let description: String

  init(_ status: ExitStatus, _ description: String) {
    self.status = status
    self.description = description
  }
}

/// The root command.
struct Ipamctl: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ipamctl",
    abstract: "Looks after the networks of cni-ipam-consul.",
    discussion: ExitStatus.help,
    version: "0.1.0",
    subcommands: [
      NetworkCommand.self, LeaseCommand.self, PoolCommand.self, WhoCommand.self,
      ImportCommand.self, CheckCommand.self, ReclaimCommand.self, MapCommand.self,
      HistoryCommand.self, MetricsCommand.self, WatchCommand.self, ExportCommand.self,
      DoctorCommand.self,
    ])
}

@main
enum Main {
  static func main() async {
    Terminal.reserveStandardStreams()
    HostNames.byFilesAndDNS()
    do {
      var command = try Ipamctl.parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      Terminal.end(.done)
    } catch let failure as Failure {
      Terminal.say(failure.description)
      Terminal.end(failure.status)
    } catch {
      // Help that was asked for is a success and goes to standard output.
      let isHelp = Ipamctl.exitCode(for: error).isSuccess
      let text = Ipamctl.fullMessage(for: error)
      if isHelp { Terminal.print(text) } else { Terminal.write(text + "\n", to: 2) }
      Terminal.end(isHelp ? .done : .usage)
    }
  }
}
