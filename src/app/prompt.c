/* Asking somebody at a terminal for a password, as readpassphrase(3) of the BSDs does it: signals
 * that would end or stop us are held until the terminal echoes again. */
#include "prompt.h"

#include "pgtls/base/wipe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static const int held[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};
#define N_HELD (sizeof held / sizeof *held)

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

static void hold_signals(struct sigaction before[N_HELD])
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: read() returns */

    sigemptyset(&action.sa_mask);
    caught = 0;
    for (size_t i = 0; i < N_HELD; i++)
        sigaction(held[i], &action, &before[i]);
}

static void release_signals(const struct sigaction before[N_HELD])
{
    for (size_t i = 0; i < N_HELD; i++)
        sigaction(held[i], &before[i], NULL);
}

static bool echo_off(struct termios *before)
{
    struct termios quiet;

    if (tcgetattr(STDIN_FILENO, before) != 0)
        return false;
    quiet = *before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
}

/* One line, without its end; what does not fit is read and dropped. False at the end of the input
 * without a character, at a signal, or when it did not fit. */
static bool read_line(struct secret *secret)
{
    size_t len = 0;
    bool fits = true;
    char c = '\0';

    while (caught == 0) {
        ssize_t n = read(STDIN_FILENO, &c, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || c == '\n')
            break;
        if (len < SECRET_MAX_BYTES)
            secret->text[len++] = c;
        else
            fits = false;
    }
    wipe_memory(&c, 1);
    secret->text[len] = '\0';
    secret->present = fits && caught == 0 && len > 0;
    return secret->present;
}

static void ask(const char *prompt)
{
    ssize_t ignored = write(STDERR_FILENO, prompt, strlen(prompt));

    (void)ignored; /* nobody to tell */
}

bool prompt_possible(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool prompt_password(const char *prompt, struct secret *secret)
{
    struct sigaction before[N_HELD];
    struct termios terminal;
    bool stopped, quiet, ok;

    do {
        hold_signals(before);
        quiet = echo_off(&terminal);
        ask(prompt);
        ok = read_line(secret);
        ask("\n");
        if (quiet)
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal);
        release_signals(before);
        stopped = caught == SIGTSTP || caught == SIGTTIN || caught == SIGTTOU;
        if (!ok)
            secret_wipe(secret);
        if (caught)
            raise(caught); /* ends or stops us here, now that the terminal echoes */
    } while (stopped);     /* continued: ask again */
    return ok;
}
