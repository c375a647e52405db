// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Included by the preset "coverage" in front of every source: a process that leaves by _exit, as
// the children of repair do, or raises a signal that ends it, writes down what it has counted. It
// includes nothing, since some sources choose what the system's headers give before they include
// one.
void __gcov_dump(void);
_Noreturn void _Exit(int status);
int gsignal(int signal);

__attribute__((unused)) static _Noreturn void exit_counted(int status)
{
    __gcov_dump();
    _Exit(status);
}
#define _exit exit_counted

__attribute__((unused)) static int raise_counted(int signal)
{
    __gcov_dump();
    return gsignal(signal);
}
#define raise raise_counted
