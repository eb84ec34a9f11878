"""Zicsr, Zifencei and the privileged instructions."""

from __future__ import annotations

from rrdbg_core.isa.rows import helper

helper("csrrw", "Zicsr", "CSR", "....... ..... ..... 001 ..... 1110011", "csr")
helper("csrrs", "Zicsr", "CSR", "....... ..... ..... 010 ..... 1110011", "csr")
helper("csrrc", "Zicsr", "CSR", "....... ..... ..... 011 ..... 1110011", "csr")
helper("csrrwi", "Zicsr", "CSRI", "....... ..... ..... 101 ..... 1110011", "csr")
helper("csrrsi", "Zicsr", "CSRI", "....... ..... ..... 110 ..... 1110011", "csr")
helper("csrrci", "Zicsr", "CSRI", "....... ..... ..... 111 ..... 1110011", "csr")
helper("fence.i", "Zifencei", "F", "....... ..... ..... 001 ..... 0001111", "nop")
helper("mret", "priv", "N", "0011000 00010 00000 000 00000 1110011", "mret")
helper("sret", "priv", "N", "0001000 00010 00000 000 00000 1110011", "sret")
helper("sfence.vma", "priv", "R", "0001001 ..... ..... 000 00000 1110011", "sfence")
helper("wfi", "priv", "N", "0001000 00101 00000 000 00000 1110011", "wfi")
