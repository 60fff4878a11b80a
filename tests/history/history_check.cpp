// history_check FILE: decides a recorded history again. Exit: 0 nothing wrong, 1 wrong answers, 2 not a
// history.
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>

#include "tests/history/checker.hpp"

int main(int argc, char** argv) {
  using namespace authcache_test;
  if (argc != 2) {
    std::cerr << "usage: history_check FILE\n";
    return 2;
  }
  try {
    std::ifstream in(argv[1], std::ios::binary);
    if (!in) throw std::runtime_error("it cannot be opened");
    const History history = read_history(std::string{std::istreambuf_iterator<char>(in), {}});
    const Judgement judgement = judge(history);
    for (const Finding& finding : judgement.findings) std::cout << describe(history, finding) << '\n';
    std::cout << "seed " << history.seed << ": " << history.answers.size() << " answers, "
              << history.changes.size() << " changes, " << judgement.findings.size() << " findings\n";
    return judgement.findings.empty() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << argv[1] << ": " << error.what() << '\n';
    return 2;
  }
}
