#include "cli/ctl/terminal.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace sluice::cli {

bool Terminal::available() {
  return ::isatty(STDOUT_FILENO) == 1 && ::isatty(STDIN_FILENO) == 1;
}

Terminal::Terminal() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = Fd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  ::tcgetattr(STDIN_FILENO, &before_);
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  std::fputs("\x1b[?1049h\x1b[?25l", stdout);  // The other screen, no cursor.
  std::fflush(stdout);
}

Terminal::~Terminal() {
  std::fputs("\x1b[?25h\x1b[?1049l", stdout);
  std::fflush(stdout);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

Terminal::Size Terminal::size() const {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
  return {size.ws_col, size.ws_row};
}

/// Over what is there, each line cleared behind its end: no flicker.
void Terminal::draw(const std::string& text, const std::string& hint) const {
  const std::size_t rows = size().rows;
  std::string output = "\x1b[H";
  std::size_t begin = 0;
  for (std::size_t row = 1; row < rows && begin < text.size(); ++row) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    output.append(text, begin, end - begin);
    output += "\x1b[K\r\n";
    begin = std::min(end + 1, text.size());
  }
  output += "\x1b[J\x1b[" + std::to_string(rows) + ";1H" + hint;
  const auto hidden =
      std::count(text.begin() + static_cast<std::ptrdiff_t>(begin), text.end(), '\n');
  if (hidden > 0) output += "   (" + std::to_string(hidden) + " lines more than fit)";
  std::fputs(output.c_str(), stdout);
  std::fflush(stdout);
}

Terminal::Event Terminal::wait(int milliseconds) {
  std::array<pollfd, 2> fds = {{{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
  if (::poll(fds.data(), fds.size(), milliseconds) <= 0) return Event::kTime;
  signalfd_siginfo signal{};
  if (::read(signals_.get(), &signal, sizeof(signal)) == sizeof(signal)) {
    return signal.ssi_signo == SIGWINCH ? Event::kResized : Event::kEnd;
  }
  char key = 0;
  const bool ended = ::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q';
  return ended ? Event::kEnd : Event::kResized;  // Another key: only draw again.
}

}  // namespace sluice::cli
