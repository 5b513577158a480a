#pragma once
/* Completion of the command line for shells, printed from the table of flags. */
struct buf;

void completion_print_bash(struct buf *to);
void completion_print_zsh(struct buf *to);
void completion_print_fish(struct buf *to);
