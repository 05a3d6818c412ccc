"use strict";
const $ = id => document.getElementById(id);
const element = (name, text = "", properties = {}) =>
  Object.assign(document.createElement(name), {textContent: text}, properties);
