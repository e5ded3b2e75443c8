#include "common/top_terminal.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/top_guard.h"
#include "common/top_view.h"

#include <assert.h>
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <term.h>

#define TOP_ESCAPE_DELAY_MS 50 /* a key's sequence comes in one piece, also over ssh */

static const int top_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

#define TOP_SIGNAL_COUNT (sizeof(top_signals) / sizeof(top_signals[0]))

struct top_terminal {
	SCREEN *screen;
	int signal_fd;
	sigset_t signals, signals_before;
	struct top_guard guard;
	attr_t attributes[TOP_STYLE_COUNT];
};

/* Which look each style has: calm, by the terminal's own colours, and told apart without any. */
static void top_terminal_set_styles(struct top_terminal *terminal)
{
	enum { ACCENT = 1, WARNING };
	const char *no_color = getenv("NO_COLOR"); /* no-color.org */
	bool colors = has_colors() && (no_color == NULL || *no_color == '\0');

	terminal->attributes[TOP_PLAIN] = A_NORMAL;
	terminal->attributes[TOP_STRONG] = A_BOLD;
	terminal->attributes[TOP_FAINT] = A_DIM;
	terminal->attributes[TOP_ACCENT] = A_NORMAL;
	terminal->attributes[TOP_WARNING] = A_BOLD;
	if (!colors || start_color() == ERR || use_default_colors() == ERR ||
	    init_pair(ACCENT, COLOR_CYAN, -1) == ERR || init_pair(WARNING, COLOR_YELLOW, -1) == ERR)
		return;
	terminal->attributes[TOP_ACCENT] = (attr_t)COLOR_PAIR(ACCENT);
	terminal->attributes[TOP_WARNING] = A_BOLD | (attr_t)COLOR_PAIR(WARNING);
}

/* From now on they come through a descriptor, in the loop's order. */
static int top_terminal_take_signals(struct top_terminal *terminal)
{
	(void)sigemptyset(&terminal->signals);
	for (size_t i = 0; i < TOP_SIGNAL_COUNT; i++)
		(void)sigaddset(&terminal->signals, top_signals[i]);
	if (sigprocmask(SIG_BLOCK, &terminal->signals, &terminal->signals_before) < 0)
		return -errno;
	terminal->signal_fd = signalfd(-1, &terminal->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (terminal->signal_fd < 0) {
		const int error = -errno;

		(void)sigprocmask(SIG_SETMASK, &terminal->signals_before, NULL);
		return error;
	}
	return 0;
}

static int top_terminal_check(struct diag *diag)
{
	const char *type = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return diag_error(diag, -ENOTTY,
				  "this is no terminal: --once prints one picture for scripts");
	if (type == NULL || *type == '\0' || strcmp(type, "dumb") == 0)
		return diag_error(diag, -ENOTTY,
				  "this terminal cannot be painted on (TERM=%s): --once prints one "
				  "picture",
				  type == NULL ? "" : type);
	return 0;
}

/* Curses puts handlers of its own where there are none, which would exit at once. */
static SCREEN *top_terminal_begin(void)
{
	struct sigaction before[TOP_SIGNAL_COUNT];
	SCREEN *screen;

	for (size_t i = 0; i < TOP_SIGNAL_COUNT; i++)
		(void)sigaction(top_signals[i], NULL, &before[i]);
	screen = newterm(NULL, stdout, stdin);
	for (size_t i = 0; i < TOP_SIGNAL_COUNT; i++)
		(void)sigaction(top_signals[i], &before[i], NULL);
	return screen;
}

static void top_terminal_resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
		(void)resizeterm(size.ws_row, size.ws_col);
}

int top_terminal_open(struct top_terminal **ret_terminal, struct diag *diag)
{
	cleanup_free struct top_terminal *terminal = calloc(1, sizeof(*terminal));
	int status = top_terminal_check(diag);

	if (status < 0)
		return status;
	if (terminal == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = top_terminal_take_signals(terminal);
	if (status < 0)
		return diag_error(diag, status, "cannot take signals: %s", strerror(-status));
	terminal->screen = top_terminal_begin();
	if (terminal->screen == NULL) {
		(void)close(terminal->signal_fd);
		(void)sigprocmask(SIG_SETMASK, &terminal->signals_before, NULL);
		return diag_error(diag, -ENOTTY,
				  "this terminal is not known (TERM=%s): install ncurses-term, set "
				  "TERM=xterm, or use --once",
				  getenv("TERM"));
	}
	(void)set_escdelay(TOP_ESCAPE_DELAY_MS);
	(void)cbreak();
	(void)noecho();
	(void)nonl();
	(void)keypad(stdscr, TRUE);
	(void)nodelay(stdscr, TRUE);
	(void)curs_set(0);
	/* Not by LINES and COLUMNS, which stay as they are when the terminal changes. */
	top_terminal_resize();
	top_terminal_set_styles(terminal);
	/* Without a guard all is the same, but for a killing. */
	(void)top_guard_start(&terminal->guard);
	*ret_terminal = TAKE_PTR(terminal);
	return 0;
}

void top_terminal_close(struct top_terminal *terminal)
{
	if (terminal == NULL)
		return;
	(void)endwin();
	top_guard_stop(&terminal->guard);
	delscreen(terminal->screen);
	(void)close(terminal->signal_fd);
	(void)sigprocmask(SIG_SETMASK, &terminal->signals_before, NULL);
	free(terminal);
}

void top_terminal_size(const struct top_terminal *terminal, size_t *ret_width, size_t *ret_height)
{
	(void)terminal;
	*ret_width = COLS < 0 ? 0 : (size_t)COLS;
	*ret_height = LINES < 0 ? 0 : (size_t)LINES;
}

void top_terminal_paint(struct top_terminal *terminal, const struct top_canvas *canvas)
{
	(void)erase();
	for (size_t line = 0; line < canvas->height; line++) {
		const bool marked = line == canvas->marked;

		(void)move((int)line, 0);
		for (size_t column = 0; column < canvas->width; column++) {
			const struct top_cell *cell = top_canvas_cell(canvas, line, column);

			if (cell->text[0] == '\0')
				continue;
			(void)attrset(
			    (int)(marked ? A_REVERSE : terminal->attributes[cell->style]));
			(void)addstr(cell->text);
		}
	}
	(void)attrset(A_NORMAL);
	(void)refresh();
}

/* Stopped as one expects it of a program with ^Z: with the terminal as it was before. */
static void top_terminal_stop(void)
{
	(void)endwin();
	(void)raise(SIGSTOP);
	/* It goes on. Who stopped us may have used the terminal, or resized it. */
	(void)clearok(curscr, TRUE);
	(void)refresh();
}

static void top_terminal_obey(struct top_terminal *terminal, struct top_event *ret_event)
{
	struct signalfd_siginfo info;

	if (read(terminal->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	switch ((int)info.ssi_signo) {
	case SIGTSTP:
		top_terminal_stop();
		top_terminal_resize();
		ret_event->kind = TOP_EVENT_RESIZE;
		break;
	case SIGWINCH:
		top_terminal_resize();
		ret_event->kind = TOP_EVENT_RESIZE;
		break;
	default:
		*ret_event =
		    (struct top_event){.kind = TOP_EVENT_END, .signal = (int)info.ssi_signo};
		break;
	}
}

static unsigned int top_terminal_special(wint_t code)
{
	static const struct {
		wint_t code;
		unsigned int key;
	} keys[] = {
	    {KEY_UP, TOP_KEY_UP},
	    {KEY_DOWN, TOP_KEY_DOWN},
	    {KEY_PPAGE, TOP_KEY_PAGE_UP},
	    {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
	    {KEY_HOME, TOP_KEY_HOME},
	    {KEY_END, TOP_KEY_END},
	    {KEY_ENTER, TOP_KEY_ENTER},
	    {KEY_BACKSPACE, TOP_KEY_ERASE},
	    {KEY_DC, TOP_KEY_ERASE},
	    {KEY_BTAB, TOP_KEY_TAB_BACK},
	    {KEY_F(1), '?'},
	    {KEY_F(10), 'q'},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].code == code)
			return keys[i].key;
	return TOP_KEY_NONE;
}

static unsigned int top_terminal_character(wint_t code)
{
	switch (code) {
	case '\r':
	case '\n':
		return TOP_KEY_ENTER;
	case '\t':
		return TOP_KEY_TAB;
	case '\b':
	case 0x7f:
		return TOP_KEY_ERASE;
	case 0x1b:
		return TOP_KEY_ESCAPE;
	default:
		return code < TOP_KEY_UP ? code : TOP_KEY_NONE;
	}
}

/* A key that curses has or finds on the terminal. */
static bool top_terminal_key(struct top_event *ret_event)
{
	wint_t code;
	const int kind = get_wch(&code);

	if (kind == ERR || (kind == KEY_CODE_YES && code == KEY_RESIZE))
		return false;
	*ret_event = (struct top_event){.kind = TOP_EVENT_KEY};
	ret_event->key =
	    kind == KEY_CODE_YES ? top_terminal_special(code) : top_terminal_character(code);
	return true;
}

void top_terminal_wait(struct top_terminal *terminal, uint64_t timeout_ns,
		       struct top_event *ret_event)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			       {.fd = terminal->signal_fd, .events = POLLIN}};
	const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / CLOCK_NS_PER_SECOND),
					 .tv_nsec = (long)(timeout_ns % CLOCK_NS_PER_SECOND)};

	*ret_event = (struct top_event){.kind = TOP_EVENT_NONE};
	/* Keys that curses has read already are not to be polled for. */
	if (top_terminal_key(ret_event))
		return;
	if (ppoll(fds, sizeof(fds) / sizeof(fds[0]), &timeout, NULL) <= 0)
		return;
	if ((fds[1].revents & POLLIN) != 0)
		top_terminal_obey(terminal, ret_event);
	else if ((fds[0].revents & ~POLLIN) != 0)
		*ret_event = (struct top_event){.kind = TOP_EVENT_END};
	else if (fds[0].revents != 0)
		(void)top_terminal_key(ret_event);
}
